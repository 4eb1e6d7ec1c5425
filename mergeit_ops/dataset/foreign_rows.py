"""Rows that lack columns which the recipe reads, such as chats in a recipe for Alpaca rows."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Sequence
from pathlib import Path

from mergeit_ops.core.columns import is_content
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.dataset.fitting_recipes import fits, fitting_recipes, text_keys_option
from mergeit_ops.dataset.loading import columns_of_sources
from mergeit_ops.dataset.recipe import Recipe, current_recipe, recipe_in_file
from mergeit_ops.dataset.recipe_columns import column_of, columns_needed

__all__ = ["explain_foreign_rows", "foreign_rows"]

_NO_KEY = re.compile(r"There is no key \[.*\] in dataset")
_MOST_RECIPES = 4


def explain_foreign_rows(causes: Sequence[BaseException]) -> str | None:
    """Return what to do about an error of the loader or of a step that misses a column; None for other errors.

    :param causes: the error and its causes. Errors that the program raises after a run of Data-Juicer are not
        explained.
    """
    if not any(map(_is_of_a_run, causes)):
        return None
    recipe = current_recipe()
    if recipe is None or not any(step.is_ours for step in recipe.steps):
        return None
    misses = any(isinstance(cause, KeyError) or _NO_KEY.search(str(cause)) for cause in causes)
    return foreign_rows(recipe) if misses else None


def _is_of_a_run(error: BaseException) -> bool:
    modules = (frame.f_globals.get("__name__") or "" for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(module.partition(".")[0] == "data_juicer" for module in modules)


def foreign_rows(recipe: Recipe) -> str | None:
    """Return which columns of a recipe its rows lack, how the rows look, and what to do, as sentences.

    :param recipe: the recipe that runs.
    :return: None if the rows have the columns, or cannot be read.
    """
    written = _as_written(recipe)
    named = dict.fromkeys((*recipe.text_keys, *written.text_keys))
    needed = {*recipe.text_keys, *columns_needed(written, named)}
    sources = columns_of_sources(recipe)
    for source, found in sources.items():
        columns = [name for name in found if is_content(name)]
        missing = [name for name in named if name in needed and column_of(name, columns) is None]
        if columns and missing:
            others = [other for other in sources.values() if set(other) != set(found)]
            whose = f"The rows of {source}" if others else "The rows"
            return _sentences(whose, columns, missing, written, mixed=bool(others))
    return None


def _sentences(whose: str, columns: Sequence[str], missing: Sequence[str], recipe: Recipe, mixed: bool) -> str:
    lacks = " or ".join(map(repr, missing))
    has = ", ".join(map(repr, columns))
    said = f"{whose} have no column {lacks}, which text_keys or a step of the recipe names. They have {has}"
    try:
        layout = resolve_format("auto", columns)
    except ValueError as error:
        return f"{said}; {error}."
    if mixed:
        advice = (
            "The sources of the recipe have different columns. Convert one of them, or run the recipe on each layout."
        )
    else:
        advice = _advice(recipe, columns, layout.required_columns)
    return f"{said}: sample format {layout.name}. {advice}"


def _advice(recipe: Recipe, columns: Sequence[str], text_keys: Sequence[str]) -> str:
    more = "`python -m mergeit_ops check FILE` names all recipes that run on a file."
    if fits(recipe, columns, {}):
        return f"Add {text_keys_option(text_keys)} to run this recipe on them. {more}"
    found = fitting_recipes(columns)
    names = [f"{found.folder.name}/{path.relative_to(found.folder)}" for path in found.as_they_are[:_MOST_RECIPES]]
    other = f", such as {' or '.join(names)}" if names else f" with {text_keys_option(text_keys)}"
    return f"This recipe cannot read them; take another one{other}. {more}"


def _as_written(recipe: Recipe) -> Recipe:
    """Return the recipe without Data-Juicer's defaults and the overrides of the command line."""
    files = getattr(recipe.config, "config", None)
    written = recipe_in_file(Path(os.fspath(files[0]))) if files else None
    return recipe if written is None else written
