"""What tokens cost, in the recipe's currency."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Prices"]


@dataclass(frozen=True)
class Prices:
    """Prices of a model.

    :param per_1k_prompt: of 1,000 tokens sent.
    :param per_1k_completion: of 1,000 tokens received.
    :param per_1k_cached_prompt: price of 1,000 tokens sent that the server had in its cache; None: the same as other
        tokens sent.
    """

    per_1k_prompt: float
    per_1k_completion: float
    per_1k_cached_prompt: float | None = None

    def cost(self, prompt_tokens: int, completion_tokens: int, cached_prompt_tokens: int = 0) -> float:
        """Return what tokens cost.

        :param prompt_tokens: tokens sent.
        :param completion_tokens: tokens received.
        :param cached_prompt_tokens: tokens sent that the server had in its cache.
        """
        cached = self.per_1k_prompt if self.per_1k_cached_prompt is None else self.per_1k_cached_prompt
        sent = (prompt_tokens - cached_prompt_tokens) * self.per_1k_prompt + cached_prompt_tokens * cached
        return (sent + completion_tokens * self.per_1k_completion) / 1000

    def times(self, share: float) -> Prices:
        """Return a share of the prices.

        :param share: at least 0.
        """
        cached = None if self.per_1k_cached_prompt is None else share * self.per_1k_cached_prompt
        return Prices(share * self.per_1k_prompt, share * self.per_1k_completion, cached)
