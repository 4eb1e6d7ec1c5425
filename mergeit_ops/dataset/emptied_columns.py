"""Columns that merging empties: a merged row has null where its parents disagree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.merging.pairing import Group
from mergeit_ops.dataset.tables import python_rows
from mergeit_ops.dataset.topics import Topic


def emptied(row: Mapping[str, Any], parents: Sequence[Mapping[str, Any]], layout: SampleFormat) -> Iterator[str]:
    """Yield the columns in which a merged row is null and a parent is not.

    :param row: the carried columns of a merged row.
    :param parents: the carried columns of its parents.
    :param layout: layout of the samples, whose columns hold the merge itself.
    """
    for name, value in row.items():
        if value is None and name not in layout.columns and any(parent[name] is not None for parent in parents):
            yield name


def disagreements(topic: Topic, groups: Iterable[Group], columns: Sequence[str]) -> Iterator[str]:
    """Yield the columns that merges of a topic would empty, once for each merge.

    :param topic: the topic.
    :param groups: the groups to be merged.
    :param columns: columns to check.
    """
    for group in groups:
        rows = python_rows(topic.table.select(list(columns)).take(pa.array(group.members, pa.int64())))
        for name in columns:
            if any(row[name] != rows[0][name] for row in rows[1:]):
                yield name
