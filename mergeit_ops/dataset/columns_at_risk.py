"""Columns that merging would empty although the rest of the recipe reads them.

A merged row has null where its parents disagree. An operator of Data-Juicer raises if the column that it reads is null.
By default Data-Juicer then drops the whole batch, including rows that were never merged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from mergeit_ops.core.columns import EMBEDDING, is_carried, is_content
from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.rows.identity import content_digests
from mergeit_ops.core.text.counts import many
from mergeit_ops.dataset.derived_columns import is_conversation, is_text
from mergeit_ops.dataset.recipe import Recipe
from mergeit_ops.dataset.recipe_columns import columns_read_after
from mergeit_ops.dataset.tables import python_columns, python_rows
from mergeit_ops.dataset.topics import table_topics


def columns_at_risk(recipe: Recipe, place: int, columns: Collection[str], layout: SampleFormat) -> dict[str, str]:
    """Return the columns that a merger may empty and the rest of the recipe reads.

    :param recipe: the recipe.
    :param place: position of the merger.
    :param columns: columns of the flat rows.
    :param layout: layout of the samples. Its columns hold the merge itself.
    :return: maps each column to the parameter that names it, in words.
    """
    parameters = recipe.steps[place].parameters
    if parameters.get("merge_strategy") == "none":
        return {}
    # In these columns, merged rows have a value in any case.
    safe = {*layout.columns, *(parameters.get("derived_columns") or ()), *(parameters.get("pair_within") or ())}
    read = columns_read_after(recipe, place, [name for name in columns if is_carried(name) and is_content(name)])
    return {column: reader for column, reader in read.items() if column not in safe}


def sentence(
    at_risk: Mapping[str, str],
    counts: Mapping[str, int],
    layout: SampleFormat,
    types: Mapping[str, pa.DataType],
    divides: bool,
) -> str:
    """Return a sentence about the column that merging would empty, with the remedies.

    :param at_risk: column to what names it.
    :param counts: maps each column to the number of merges that would empty it; empty if pairs were not searched.
    :param layout: layout of the samples.
    :param types: maps each column to its type in flat rows.
    :param divides: whether the first column divides rows into kinds; see `divides_rows`.
    """
    column, reader = next(iter(at_risk.items()))
    rest = [name for name in at_risk if name != column]
    also = f" (so would {', '.join(map(repr, rest))})" if rest else ""
    why = (
        f"parents of {many(counts[column], 'merge')} differ in it"
        if counts.get(column)
        else "its values differ from row to row"
    )
    cures = ["put the operator that reads it before the grouper"]
    if divides:
        cures.append(f"merge only rows with the same value, with pair_within: [{column}]")
    if is_text(types[column]):
        parts = ("instruction", "output") if is_conversation(layout) else layout.required_columns
        template = "\\n".join(f"{{{name}}}" for name in parts)
        cures.insert(0, f'write the column of merged rows with derived_columns: {{{column}: "{template}"}}')
    if "text_key" in reader:
        cures.append("name another column in text_key or text_keys")
    choice = cures[0] if len(cures) == 1 else f"{'; '.join(cures[:-1])}; or {cures[-1]}"
    return (
        f"the column '{column}' would be null in merged rows, since {why}{also}. It is named by {reader}, and "
        f"Data-Juicer drops the whole batch of a row that is null there. "
        f"{'Choose one' if len(cures) > 1 else 'What helps'}: {choice}"
    )


@dataclass(frozen=True)
class Differences:
    """How the samples of topics differ in some columns.

    :param differing: columns with several values within a topic.
    :param shared: columns among these in which two different samples of a topic have the same value.
    :param embedded: whether all topics bring embeddings.
    """

    differing: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()
    embedded: bool = True

    def __or__(self, other: Differences) -> Differences:
        return Differences(
            self.differing | other.differing, self.shared | other.shared, self.embedded and other.embedded
        )


def differences(table: pa.Table, columns: Sequence[str], layout: SampleFormat) -> tuple[None, Differences]:
    """Return how the samples of topics differ in some columns.

    :param table: topics.
    :param columns: names of columns.
    :param layout: layout of the samples.
    """
    differing, shared = set(), set()
    for topic in table_topics(table):
        for name in columns:
            pairs = value_and_sample(topic.table, name, layout)
            if len({value for value, _ in pairs}) > 1:
                differing.add(name)
                if not samples_differ(pairs):
                    shared.add(name)
    return None, Differences(frozenset(differing), frozenset(shared), EMBEDDING in table.column_names)


def value_and_sample(table: pa.Table, column: str, layout: SampleFormat) -> list[tuple[str, str]]:
    """Return, for each row that may be merged, a hash of its value in a column and a hash of its sample."""
    read = [name for name in layout.columns if name in table.column_names]
    rows = enumerate(python_rows(table.select(read)))
    table = table.take(pa.array([position for position, row in rows if layout.read(row).problem is None], pa.int64()))
    values, samples = (
        content_digests(python_columns(table.select(names)), table.num_rows) for names in ([column], read)
    )
    return list(zip(values, samples, strict=True))


def samples_differ(pairs: Iterable[tuple[str, str]]) -> bool:
    """Return whether no two different samples have the same value in a column.

    :param pairs: pairs of `value_and_sample`.
    """
    sample_of: dict[str, str] = {}
    if any(sample_of.setdefault(value, sample) != sample for value, sample in pairs):
        return False
    return len(set(sample_of.values())) > 1


_MOST_DIFFERENT = 0.9
"""Share of different values from which on they divide rows into hardly any kinds."""

_FEW_ROWS = 10
"""With fewer rows, values tell nothing about a column, unless all of them differ."""


def divides_rows(values: int, rows: int) -> bool:
    """Return whether a column divides rows into kinds, such as languages; ids and texts do not.

    :param values: number of its different values.
    :param rows: number of rows.
    """
    return values < rows if rows < _FEW_ROWS else values <= _MOST_DIFFERENT * rows
