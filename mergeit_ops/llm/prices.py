"""What tokens cost, in whatever currency the recipe's author thinks in."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Prices"]


@dataclass(frozen=True)
class Prices:
    """Prices of a model.

    :param per_1k_prompt: of 1,000 tokens sent.
    :param per_1k_completion: of 1,000 tokens received.
    """

    per_1k_prompt: float
    per_1k_completion: float

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return what tokens cost.

        :param prompt_tokens: tokens sent.
        :param completion_tokens: tokens received.
        """
        return (prompt_tokens * self.per_1k_prompt + completion_tokens * self.per_1k_completion) / 1000
