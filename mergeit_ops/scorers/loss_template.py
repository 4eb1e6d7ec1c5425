"""Shared code of the scorers by response losses, from any source of losses."""

from __future__ import annotations

from collections.abc import Mapping

from mergeit_ops.core.scoring.loss_prompts import LOSS_PROMPTS, LossPrompt
from mergeit_ops.errors import RecipeError

__all__ = ["loss_template", "no_ratio"]


def no_ratio(measure: str) -> str:
    """Return why scores of a measure cannot be compared by their ratio; empty if they can.

    :param measure: its name.
    """
    lower = next((name for name in ("perplexity", "reverse_ifd") if name in measure), "")
    return f"of a {lower} the lower one is better" if lower else ""


def loss_template(owner: str, prompt: str, texts: Mapping[str, str] | None, reverse: bool) -> LossPrompt | None:
    """Return the texts of a prompt; None for the model's own chat template.

    :param owner: name of the scorer, for messages.
    :param prompt: a name of `LOSS_PROMPTS`, `chat` or `custom`.
    :param texts: texts of `custom`; None if there are none.
    :param reverse: whether the texts of `reverse_ifd` are needed.
    :raises RecipeError: if the user's own prompt is missing, cannot be read, or is given without `custom`.
    """
    if (prompt == "custom") != (texts is not None):
        raise RecipeError(
            f"{owner}: `prompt: custom` needs a prompt_template, and a prompt_template needs `prompt: custom`; "
            f"got prompt {prompt!r} and prompt_template {texts!r}."
        )
    if texts is None:
        return LOSS_PROMPTS.get(prompt)
    try:
        template = LossPrompt.of(texts)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"{owner}: the prompt_template {error}.") from error
    if reverse and "{response}" not in template.reverse:
        raise RecipeError(
            f"{owner}: for reverse_ifd the prompt_template needs the field 'reverse', a text with {{response}}."
        )
    return template
