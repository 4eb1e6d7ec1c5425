"""Rows of Data-Juicer's default executor, ready to be grouped into topics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray

from mergeit_ops.core.columns import EMBEDDING, ROW_ID, is_content
from mergeit_ops.core.topics.clustering import TopicModel, fit_sample
from mergeit_ops.core.vectors import has_text
from mergeit_ops.dataset.embeddings import rows_with_text, vectors_column
from mergeit_ops.dataset.readability import Readability
from mergeit_ops.dataset.tables import TEXT, iter_tables, write_dataset
from mergeit_ops.dataset.topics import group_rows, topic_features, topic_notes
from mergeit_ops.jobs.row_ids import row_ids
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.progress import counted

__all__ = ["LocalIdentifiedRows"]


@dataclass(frozen=True)
class LocalIdentifiedRows:
    """See `IdentifiedRows`.

    :param dataset: n flat rows.
    :param reader: reads their embeddings.
    :param row_ids: n ids.
    :param readable: (n,) which rows can be read.
    :param vectors: (n, d) embeddings; None: they are in the dataset and are read block by block.
    """

    dataset: Dataset
    reader: SampleReader
    row_ids: pa.Array[Any]
    readable: NDArray[np.bool_]
    vectors: NDArray[np.float32] | None

    @classmethod
    def of(
        cls, dataset: Dataset, reader: SampleReader, drops_unreadable: bool
    ) -> tuple[LocalIdentifiedRows, Readability]:
        """Return the rows of a dataset; see `Rows.identified`."""
        ids = _ids(dataset, reader.operator)
        vectors: NDArray[np.float32] | None = None
        if EMBEDDING in dataset.column_names:
            texts, there = reader.dataset_texts(dataset), _nonzero(dataset, reader)
            found = reader.check_readable(dataset, texts, drops_unreadable, there)
            readable = texts & there
        else:
            vectors, found = reader.dataset_vectors(dataset, drops_unreadable)
            readable = has_text(vectors)
        identified = cls(dataset, reader, ids, readable, vectors)
        return (identified._readable_only() if found.unreadable and drops_unreadable else identified), found

    def _readable_only(self) -> LocalIdentifiedRows:
        rows = np.flatnonzero(self.readable)
        vectors = None if self.vectors is None else self.vectors[rows]
        ids = self.row_ids.take(pa.array(rows, pa.int64()))
        return LocalIdentifiedRows(self.dataset.select(rows), self.reader, ids, self.readable[rows], vectors)

    def with_lowest_ids(self, size: int) -> NDArray[np.float32]:
        """See `IdentifiedRows`."""
        candidates = np.flatnonzero(self.readable)
        ids: list[Any] = self.row_ids.take(pa.array(candidates, pa.int64())).to_pylist()
        rows = candidates[fit_sample(ids, size)]
        return self._sampled(rows) if self.vectors is None else self.vectors[rows]

    def topics(self, model: TopicModel | None) -> tuple[Dataset, NDArray[np.int64]]:
        """See `IdentifiedRows`."""
        labels = np.zeros(0, dtype=np.int64) if model is None else self._labels(model)
        vectors = self.vectors
        added: dict[str, Callable[[NDArray[np.int64]], pa.Array[Any]]] = {ROW_ID: self.row_ids.take}
        if vectors is not None:
            added[EMBEDDING] = lambda rows: vectors_column(vectors[rows]).combine_chunks()
        samples = self.dataset.remove_columns([ROW_ID]) if ROW_ID in self.dataset.column_names else self.dataset
        features = topic_features({**samples.features, ROW_ID: TEXT, EMBEDDING: TEXT})
        noted = topic_notes(self.reader.model_of_vectors(brought=vectors is None))
        tables = group_rows(samples, added, labels, self.readable, noted)
        number = len(np.unique(labels))
        topics = write_dataset(counted(tables, number, f"{self.reader.operator}: grouping", "topics"), features)
        return topics, np.bincount(labels, minlength=0 if model is None else model.num_clusters)

    def _labels(self, model: TopicModel) -> NDArray[np.int64]:
        """Return the topic of each row; unreadable rows get a separate topic, after those of the centroids."""
        if self.vectors is not None:
            labels = model.assign(self.vectors)
        else:
            labels = np.empty(len(self.dataset), dtype=np.int64)
            for first_row, block in self.reader.iter_vectors(self.dataset):
                labels[first_row : first_row + len(block)] = model.assign(block)
        labels[~self.readable] = model.num_clusters
        return labels

    def _sampled(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        order = np.argsort(rows)
        ascending = rows[order]
        parts = [
            block[ascending[slice(*np.searchsorted(ascending, [first, first + len(block)]))] - first]
            for first, block in self.reader.iter_vectors(self.dataset)
        ]
        # In the order of the sample, so that the order of the rows does not change the fit.
        return np.concatenate(parts)[np.argsort(order)]


def _ids(dataset: Dataset, operator: str) -> pa.Array[Any]:
    seen: Counter[str] = Counter()
    columns = [name for name in dataset.column_names if name == ROW_ID or is_content(name)]
    parts = [pa.array(row_ids(table, seen, operator), pa.string()) for table in iter_tables(dataset, columns)]
    return pa.concat_arrays(parts) if parts else pa.array([], pa.string())


def _nonzero(dataset: Dataset, reader: SampleReader) -> NDArray[np.bool_]:
    """Return which rows of a dataset bring a vector other than zero."""
    first_row = 0
    parts = []
    for table in iter_tables(dataset, [EMBEDDING]):
        with reader.reading_embeddings():
            parts.append(rows_with_text(table.column(EMBEDDING), first_row))
        first_row += len(table)
    return np.concatenate(parts) if parts else np.zeros(0, dtype=bool)
