"""Settings with which Data-Juicer tries every operator on rows of the input before the run."""

from __future__ import annotations

from mergeit_ops.dataset.recipe import Recipe
from mergeit_ops.errors import RecipeError

__all__ = ["check_probing"]


def check_probing(recipe: Recipe) -> list[str]:
    """Refuse a recipe whose operators cannot work on rows of the input, if Data-Juicer would try them there.

    Only the default executor tries operators.

    :param recipe: the recipe.
    :return: a warning if all operators can work on rows of the input; they still do a part of their work twice.
    :raises RecipeError: if an operator needs topics, which rows of the input are not; the error names the setting and
        the remedy.
    """
    setting, remedy = _probing(recipe)
    if not setting:
        return []
    said = f"With {setting}, Data-Juicer first runs every operator on up to 1,000 rows of the input"
    for step in recipe.steps:
        if step.is_ours and step.operator.takes == "topics":  # type: ignore[union-attr]
            raise RecipeError(f"{step.name}: {said}. They are not topics, so this operator would stop. {remedy}")
    return [
        f"{said}, before any filter. This takes time, and operators that ask a language model pay for rows that a "
        f"filter may drop later. {remedy}"
    ]


def _probing(recipe: Recipe) -> tuple[str, str]:
    config = recipe.config
    if recipe.executor != "default":
        return "", ""
    if getattr(config, "op_fusion", False) and getattr(config, "fusion_strategy", "probe") == "probe":
        return "op_fusion and fusion_strategy: probe", "Set fusion_strategy: greedy, or op_fusion: false."
    if getattr(config, "adaptive_batch_size", False):
        return "adaptive_batch_size", "Set adaptive_batch_size: false."
    return "", ""
