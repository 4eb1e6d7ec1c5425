"""Tagging rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from mergeit_ops.dataset.readability import Readability
from mergeit_ops.dataset.tag_lists import with_tag_features, with_tags
from mergeit_ops.jobs.rows import Rows
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.jobs.taggers import ReadyTagger, Tagger

__all__ = ["check_readable", "tag_figures", "tag_rows"]


@dataclass(frozen=True)
class _TaggingJob:
    """Adds the tags of rows.

    :param reader: reads the rows.
    :param tagger: the tagger.
    :param column: column of the tags.
    """

    reader: SampleReader
    tagger: ReadyTagger
    column: str

    def tag(self, table: pa.Table) -> tuple[pa.Table, Counter[int]]:
        """Return rows with their tags, and the number of rows by number of tags."""
        tags = self.tagger.tags([reading.sample for reading in self.reader.readings(table)])
        return with_tags(table, self.column, tags), Counter(map(len, tags))


def tag_rows(rows: Rows, reader: SampleReader, tagger: Tagger, column: str) -> tuple[Rows, dict[str, Any]]:
    """Tag the rows of a dataset.

    :param rows: flat rows.
    :param reader: reads them.
    :param tagger: the tagger.
    :param column: column of the tags.
    :return: the rows with their tags, and the figures for the record.
    :raises DatasetError: if most rows cannot be read.
    """
    found = check_readable(rows, reader)
    job = _TaggingJob(reader, tagger.ready(rows, reader), column)
    tagged, told = rows.map(job.tag, features=partial(with_tag_features, column=column))
    counts: Counter[int] = sum(told, Counter())
    return tagged, {"rows_in": len(rows), "rows_out": len(tagged), **tag_figures(counts), **found.figures()}


def check_readable(rows: Rows, reader: SampleReader) -> Readability:
    """Warn about rows that cannot be read.

    :param rows: flat rows.
    :param reader: reads them.
    :return: the counts of readable rows.
    :raises DatasetError: if most rows cannot be read.
    """
    columns = [name for name in reader.layout.columns if name in rows.columns]
    found = Readability.of_consecutive(rows.tell(_readability, reader, columns=columns))
    found.check(reader.operator, dropped=False)
    return found


def tag_figures(counts: Counter[int]) -> dict[str, Any]:
    """Return the figures about the tags of rows.

    :param counts: number of rows by number of tags.
    """
    rows = counts.total()
    mean = sum(tags * count for tags, count in counts.items()) / rows if rows else 0.0
    return {"untagged": counts[0], "mean_tags": round(mean, 4)}


def _readability(table: pa.Table, reader: SampleReader) -> tuple[None, Readability]:
    def row(position: int) -> pa.Table:
        return table.slice(position, 1)

    texts = np.asarray(reader.texts(table), bool)
    return None, Readability.of(texts, row, reader.layout)
