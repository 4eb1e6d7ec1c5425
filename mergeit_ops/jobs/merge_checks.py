"""Checks of topics before they are merged. Each stops a recipe that cannot work, before any call is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_

import pyarrow as pa
from loguru import logger

from mergeit_ops.core.columns import is_content
from mergeit_ops.core.merging.pairing import Group
from mergeit_ops.core.rows.identity import content_digests
from mergeit_ops.dataset.columns_at_risk import Differences, differences, divides_rows, sentence
from mergeit_ops.dataset.recipe_columns import column_of, path_inside, type_has, value_at
from mergeit_ops.dataset.tables import python_rows
from mergeit_ops.dataset.topics import table_topics
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.jobs.merging import MergeJob
from mergeit_ops.jobs.rows import Rows

__all__ = ["check_merges"]


def check_merges(
    rows: Rows, job: MergeJob, types: Mapping[str, pa.DataType], at_risk: Mapping[str, str]
) -> list[list[Sequence[Group]]] | None:
    """Check that the merges can work.

    :param rows: topics.
    :param job: the merge.
    :param types: columns of the samples, and their types.
    :param at_risk: columns that merges may empty and the recipe reads, each with the parameter that names it.
    :return: the groups of each topic, table by table, if they were needed; otherwise None.
    :raises DatasetError: if no row has a value for a name in `pair_within`.
    :raises RecipeError: if derived columns cannot be made, or merges would empty a column that the recipe reads.
    """
    _check_pair_within(rows, job, types)
    try:
        job.derived.check(types, job.reader.layout)
    except ValueError as error:
        raise RecipeError(f"{job.reader.operator}: derived_columns {error}. No call was made.") from error
    counts, groups = _columns_emptied(rows, job, list(at_risk)) if at_risk else (Counter(), None)
    if counts:
        emptied = {name: reader for name, reader in at_risk.items() if name in counts}
        number = {name: count for name, count in counts.items() if count}
        divides = next(iter(emptied)) in number and divides_rows(*_different(rows, next(iter(emptied))))
        text = sentence(emptied, number, job.reader.layout, types, divides)
        if not job.dry_run:
            raise RecipeError(f"{job.reader.operator}: {text}. No call was made.")
        logger.warning(f"{job.reader.operator}: without dry_run the run would stop: {text}.")
    return groups


def _check_pair_within(rows: Rows, job: MergeJob, types: Mapping[str, pa.DataType]) -> None:
    missing = [name for name in job.pairing.within if not _is_there(name, types, rows)]
    if missing:
        there = ", ".join(repr(name) for name in types if is_content(name))
        raise DatasetError(
            f"{job.reader.operator}: pair_within names the column {', '.join(map(repr, missing))}, which the samples "
            f"do not have; they have: {there}. No call was made."
        )
    for name in job.pairing.within:
        values, number = _different(rows, column_of(name, types) or name, path_inside(name, types))
        if number > 1 and not divides_rows(values, number):
            logger.warning(
                f"{job.reader.operator}: pair_within names '{name}', which has {values:,} different values in "
                f"{number:,} rows, so hardly two rows agree in it and hardly any can be merged. Name a column that "
                "divides rows into kinds, such as a language."
            )


def _different(rows: Rows, column: str, path: Sequence[str] = ()) -> tuple[int, int]:
    """Return how many different values a column, or a place inside it, has, and the number of rows."""
    values: set[str] = set()
    number = 0
    for found, of in rows.tell(_values, column, path, columns=[column]):
        values |= found
        number += of
    return len(values), number


def _values(table: pa.Table, column: str, path: Sequence[str]) -> tuple[None, tuple[set[str], int]]:
    tables = [topic.table.select([column]) for topic in table_topics(table)]
    values = [value_at(row[column], path)[1] for part in tables for row in python_rows(part)]
    return None, (set(content_digests({"value": values}, len(values))), len(values))


def _is_there(name: str, types: Mapping[str, pa.DataType], rows: Rows) -> bool:
    column, path = column_of(name, types), path_inside(name, types)
    if column is None:
        return False
    known = type_has(types[column], path)
    # The keys of JSON values are known only after reading the values.
    return any(rows.tell(_holds, column, path, columns=[column])) if known is None else known


def _holds(table: pa.Table, column: str, path: Sequence[str]) -> tuple[None, bool]:
    """Return whether a sample of some topics has a value at a path inside a column."""
    values = (row[column] for topic in table_topics(table) for row in python_rows(topic.table.select([column])))
    return None, any(value_at(value, path)[0] for value in values)


def _columns_emptied(
    rows: Rows, job: MergeJob, columns: Sequence[str]
) -> tuple[Counter[str], list[list[Sequence[Group]]] | None]:
    """Return how many merges would empty each column, and the groups if they were needed.

    If no two different samples of a topic have the same value in a column, it counts as emptied before any row is
    embedded. Its count is then 0.
    """
    found = reduce(or_, rows.tell(differences, columns, job.reader.layout), Differences())
    unsure = [name for name in columns if name in found.differing]
    certain = [name for name in unsure if name not in found.shared]
    if not unsure:
        return Counter(), None
    if certain and not found.embedded:
        return Counter(dict.fromkeys(certain, 0)), None
    told = list(rows.tell(job.disagreements, unsure))
    return sum((counts for _, counts in told), Counter()), [groups for groups, _ in told]
