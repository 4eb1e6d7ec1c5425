"""Which recipes run on a dataset, by what the recipes and their operators declare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mergeit_ops.core.formats import CHAT_COLUMNS, resolve_format
from mergeit_ops.dataset.recipe import Recipe, Step, recipe_in_file
from mergeit_ops.dataset.recipe_columns import columns_needed, columns_written, reads_text
from mergeit_ops.folders import recipe_files, shipped_recipes

__all__ = ["Fitting", "fits", "fitting_recipes", "text_keys_option"]

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
    # `text_keys` has to name the column of turns, which is not text.
    if reads_text(recipe) and not set(CHAT_COLUMNS).isdisjoint(columns):
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


@dataclass(frozen=True)
class Fitting:
    """The bundled recipes that run on a dataset.

    :param folder: their folder.
    :param files: all of them.
    :param as_they_are: those that need no option.
    :param with_options: those that need other `text_keys`, and the keys if there are any.
    """

    folder: Path
    files: Sequence[Path]
    as_they_are: Sequence[Path]
    with_options: Sequence[Path]


def fitting_recipes(columns: Sequence[str], keys: Mapping[str, str] = MappingProxyType({})) -> Fitting:
    """Return the bundled recipes that run on a dataset.

    The operators must be registered with Data-Juicer.

    :param columns: the dataset's columns.
    :param keys: see `fits`.
    """
    folder = shipped_recipes()
    files = recipe_files(folder)
    read = ((file, recipe_in_file(file)) for file in files)
    fitting = {file: recipe for file, recipe in read if recipe is not None and fits(recipe, columns, keys)}
    as_they_are = [file for file, recipe in fitting.items() if not keys and set(recipe.text_keys) <= set(columns)]
    return Fitting(folder, files, as_they_are, [file for file in fitting if file not in as_they_are])


def text_keys_option(text_keys: Sequence[str]) -> str:
    """Return the option of the command line that sets `text_keys`, as a shell reads it."""
    return f"--text_keys {text_keys[0]}" if len(text_keys) == 1 else f"--text_keys '[{', '.join(text_keys)}]'"
