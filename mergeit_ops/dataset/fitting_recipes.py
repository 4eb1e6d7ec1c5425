"""Which recipes run on a dataset, by what the recipes and their operators declare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.dataset.recipe import Recipe, Step
from mergeit_ops.dataset.recipe_columns import columns_needed, columns_written

__all__ = ["fits"]

_KEYS = ("instruction_key", "query_key", "response_key", "system_key", "history_key")


def fits(recipe: Recipe, columns: Sequence[str], keys: Mapping[str, str]) -> bool:
    """Return whether the operators of a recipe can read a dataset, whatever the recipe's `text_keys`.

    A recipe does not fit if its answers were recorded for other rows.

    :param recipe: the recipe, as it is written.
    :param columns: the dataset's columns.
    :param keys: parameters that name the columns of question and answer; all operators of ours are given them.
    """
    if not columns_needed(recipe, recipe.text_keys) <= set(columns):
        return False
    there = list(columns)
    for step in recipe.steps:
        if step.parameters.get("backend") == "recorded":
            return False
        if step.is_ours:
            if "text_key" in step.parameters:
                # It makes samples of texts, for all operators after it.
                return True
            if not _reads(step, there, keys):
                return False
        there += columns_written(step) - set(there)
    return True


def _reads(step: Step, columns: Sequence[str], keys: Mapping[str, str]) -> bool:
    own: dict[str, Any] = {key: step.parameters[key] for key in _KEYS if step.parameters.get(key) is not None}
    try:
        resolve_format(step.parameters.get("sample_format", "auto"), columns, **{**keys, **own})
    except ValueError:
        return False
    return True
