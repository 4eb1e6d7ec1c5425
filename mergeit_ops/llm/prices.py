"""What tokens cost, in whatever currency the recipe's author thinks in."""

from __future__ import annotations

from dataclasses import dataclass

from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.validation import number

__all__ = ["Prices", "read_prices"]


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


def read_prices(per_1k_prompt: float | None, per_1k_completion: float | None) -> Prices | None:
    """Check the prices of a recipe.

    :param per_1k_prompt: price of 1,000 prompt tokens, at least 0; None when unknown.
    :param per_1k_completion: price of 1,000 completion tokens, at least 0; None when unknown.
    :return: None when neither is known.
    :raises RecipeError: when one is missing, which would make every sum too low, or is no such number.
    """
    if per_1k_prompt is None and per_1k_completion is None:
        return None
    if per_1k_prompt is None or per_1k_completion is None:
        given, missing = "price_per_1k_prompt", "price_per_1k_completion"
        if per_1k_prompt is None:
            given, missing = missing, given
        raise RecipeError(f"{given} needs {missing} beside it: set both, 0 for what is free.")
    return Prices(
        number("price_per_1k_prompt", per_1k_prompt, 0, integer=False),
        number("price_per_1k_completion", per_1k_completion, 0, integer=False),
    )
