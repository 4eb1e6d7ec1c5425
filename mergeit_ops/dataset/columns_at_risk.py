"""Columns that merging would empty although the rest of the recipe reads them.

A merged row has null where its parents disagree. An operator of Data-Juicer raises if the column that it reads is null.
By default Data-Juicer then drops the whole batch, including rows that were never merged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import pyarrow as pa

from mergeit_ops.core.columns import EMBEDDING, is_carried, is_content
from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.merging.pairing import Group
from mergeit_ops.core.rows.identity import content_digests
from mergeit_ops.dataset.derived_columns import is_conversation, is_text
from mergeit_ops.dataset.emptied_columns import disagreements
from mergeit_ops.dataset.recipe import Recipe
from mergeit_ops.dataset.recipe_columns import columns_read_after
from mergeit_ops.dataset.tables import python_columns, python_rows
from mergeit_ops.dataset.topics import Topic


def columns_at_risk(
    recipe: Recipe, place: int, columns: Collection[str], layout: SampleFormat, safe: Collection[str]
) -> dict[str, str]:
    """Return the columns that a merge may empty and the recipe reads.

    :param recipe: the recipe.
    :param place: position of the merger.
    :param columns: those of the dataset.
    :param layout: layout of the samples; its columns hold the merge itself.
    :param safe: columns in which merged rows have a value for another reason.
    :return: column to what names it, in words.
    """
    read = columns_read_after(recipe, place, [name for name in columns if is_carried(name) and is_content(name)])
    return {column: reader for column, reader in read.items() if column not in layout.columns and column not in safe}


def sentence(
    at_risk: Mapping[str, str], counts: Mapping[str, int], layout: SampleFormat, types: Mapping[str, pa.DataType]
) -> str:
    """Return a sentence on the column that merging would empty, with the cures.

    :param at_risk: column to what names it.
    :param counts: column to the number of merges that would empty it; empty if pairs were not searched.
    :param layout: layout of the samples.
    :param types: column to its type in flat rows.
    """
    column, reader = next(iter(at_risk.items()))
    rest = [name for name in at_risk if name != column]
    also = f" (so would {', '.join(map(repr, rest))})" if rest else ""
    why = (
        f"parents of {counts[column]:,} merges differ in it"
        if counts.get(column)
        else "its values differ from row to row"
    )
    cures = [
        "put the operator that reads it before the grouper",
        f"merge only rows with the same value, with pair_within: [{column}]",
    ]
    if is_text(types[column]):
        parts = ("instruction", "output") if is_conversation(layout) else layout.required_columns
        template = "\\n".join(f"{{{name}}}" for name in parts)
        cures.insert(0, f'write the column of merged rows with derived_columns: {{{column}: "{template}"}}')
    if "text_key" in reader:
        cures.append("name another column in text_key or text_keys")
    return (
        f"the column '{column}' would be null in merged rows, since {why}{also}. It is named by {reader}, and "
        f"Data-Juicer drops the whole batch of a row that is null there. Choose one: {'; '.join(cures[:-1])}; or "
        f"{cures[-1]}"
    )


def columns_emptied(
    topics: Callable[[], Iterable[Topic]],
    find: Callable[[Topic], Sequence[Group]],
    columns: Sequence[str],
    layout: SampleFormat,
) -> tuple[Counter[str], list[Sequence[Group]] | None]:
    """Return how many merges would empty each of some columns, and the groups if they were needed.

    A column in which no two different samples of a topic have the same value counts as emptied before any row is
    embedded; its count is 0 then.

    :param topics: returns the topics; may be called several times.
    :param find: finds the groups of a topic; embeds its rows where they bring no embeddings.
    :param columns: names of columns.
    :param layout: layout of the samples.
    """
    agreed, certain = set(columns), set(columns)
    embedded = True
    for topic in topics():
        embedded &= EMBEDDING in topic.table.column_names
        for name in columns:
            pairs = value_and_sample(topic.table, name, layout)
            if len({value for value, _ in pairs}) > 1:
                agreed.discard(name)
                if not samples_differ(pairs):
                    certain.discard(name)
    unsure = [name for name in columns if name not in agreed]
    if not unsure:
        return Counter(), None
    if not embedded and certain.intersection(unsure):
        return Counter(dict.fromkeys([name for name in unsure if name in certain], 0)), None
    groups = [find(topic) for topic in topics()]
    counts: Counter[str] = Counter()
    for topic, found in zip(topics(), groups, strict=True):
        counts.update(disagreements(topic, found, unsure))
    return counts, groups


def value_and_sample(table: pa.Table, column: str, layout: SampleFormat) -> list[tuple[str, str]]:
    """Return a hash of the value in a column, and one of what the layout reads, of each row that may be merged."""
    read = [name for name in layout.columns if name in table.column_names]
    rows = enumerate(python_rows(table.select(read)))
    table = table.take(pa.array([position for position, row in rows if layout.read(row).problem is None], pa.int64()))
    values, samples = (
        content_digests(python_columns(table.select(names)), table.num_rows) for names in ([column], read)
    )
    return list(zip(values, samples, strict=True))


def samples_differ(pairs: Iterable[tuple[str, str]]) -> bool:
    """Return whether no two different samples have the same value in a column.

    :param pairs: of `value_and_sample`.
    """
    sample_of: dict[str, str] = {}
    if any(sample_of.setdefault(value, sample) != sample for value, sample in pairs):
        return False
    return len(set(sample_of.values())) > 1
