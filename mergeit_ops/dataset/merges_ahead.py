"""Checks of a recipe's merges before any row is embedded for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain

import pyarrow as pa

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.dataset.columns_at_risk import columns_at_risk, samples_differ, sentence
from mergeit_ops.dataset.derived_columns import DerivedColumns
from mergeit_ops.dataset.recipe import Recipe, RecipeOperator, recipe_and_place
from mergeit_ops.errors import RecipeError


def check_merges_ahead(
    operator: RecipeOperator,
    types: Mapping[str, pa.DataType],
    layout: SampleFormat,
    pairs_of: Callable[[str], Iterable[Iterable[tuple[str, str]]]],
) -> None:
    """Refuse a recipe whose merger would have to stop, before an operator embeds the rows for it.

    If no two different samples have the same value in a column, it is null in every merged row. Other columns are
    checked by the merger after it has found the pairs.

    :param operator: one of our operators, which is about to embed the rows.
    :param types: columns of its flat rows, and their types.
    :param layout: their layout.
    :param pairs_of: function that yields, part by part, `value_and_sample` of a column.
    :raises RecipeError: if the merger that follows cannot work on these columns.
    """
    found = recipe_and_place(operator)
    if found is None or EMBEDDING in types:
        return
    recipe, place = found
    merger = _next_merger(recipe, place)
    if merger is None:
        return
    step = recipe.steps[merger]
    try:
        DerivedColumns.parse(step.parameters.get("derived_columns")).check(types, layout)
    except ValueError as error:
        raise RecipeError(f"{step.name}: derived_columns {error}. No row was embedded.") from error
    at_risk = columns_at_risk(recipe, merger, list(types), layout)
    certain = {name: reader for name, reader in at_risk.items() if samples_differ(chain.from_iterable(pairs_of(name)))}
    if certain and not step.parameters.get("dry_run"):
        raise RecipeError(f"{step.name}: {sentence(certain, {}, layout, types, divides=False)}. No row was embedded.")


def _next_merger(recipe: Recipe, place: int) -> int | None:
    """Return the position of the merger that gets these rows; None if other operators may change the columns."""
    for number in range(place + 1, len(recipe.steps)):
        if getattr(recipe.steps[number].operator, "kind", None) == "merger":
            return number
        if not recipe.steps[number].is_ours:
            return None
    return None
