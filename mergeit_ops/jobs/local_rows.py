"""Rows of Data-Juicer's default executor, processed in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features
from numpy.typing import NDArray

from mergeit_ops.core.columns import BATCH_META, EMBEDDING
from mergeit_ops.core.merging.pairing import Group
from mergeit_ops.core.rows.lineage import TOPIC_ID
from mergeit_ops.core.text.counts import many
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.dataset.manifest import Manifest
from mergeit_ops.dataset.merge_table import Merge
from mergeit_ops.dataset.readability import Readability
from mergeit_ops.dataset.tables import (
    READ_ROWS,
    TEXT,
    TableSink,
    arrow_array,
    iter_tables,
    json_array,
    python_rows,
    rows_of_dataset,
    set_column,
    write_dataset,
)
from mergeit_ops.dataset.topics import is_grouped, iter_topics
from mergeit_ops.jobs.asking import AskingJob, rows_at_once
from mergeit_ops.jobs.identified_rows import LocalIdentifiedRows
from mergeit_ops.jobs.merge_run import MergeTrial
from mergeit_ops.jobs.merging import MergeJob
from mergeit_ops.jobs.rows import ModelUse, TableFunction
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.progress import progress_bar, working

__all__ = ["LocalRows"]

T = TypeVar("T")


class LocalRows:
    """See `Rows`.

    :param dataset: the rows.
    :param vectors: (n, d) embeddings; None if they are not read yet.
    """

    def __init__(self, dataset: Dataset, vectors: NDArray[np.float32] | None = None) -> None:
        self.dataset = dataset
        self._vectors = vectors

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def columns(self) -> list[str]:
        """See `Rows`."""
        return list(self.dataset.column_names)

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """See `Rows`."""
        return {field.name: field.type for field in self.dataset.features.arrow_schema}

    @property
    def grouped(self) -> bool:
        """See `Rows`."""
        return is_grouped(self.dataset.features)

    def map(
        self,
        function: TableFunction,
        *shared: Any,
        each: Iterable[Any] | None = None,
        features: Callable[[Features], Features] = lambda features: features,
        stats: Mapping[str, pa.DataType] | None = None,
        model: ModelUse | None = None,
    ) -> tuple[LocalRows, list[Any]]:
        """See `Rows`."""
        return self._made(self._results(function, shared, each), features)

    def _made(
        self, results: Iterable[tuple[pa.Table | None, Any]], features: Callable[[Features], Features]
    ) -> tuple[LocalRows, list[Any]]:
        told: list[Any] = []

        def made() -> Iterator[pa.Table]:
            for table, report in results:
                told.append(report)
                if table is not None:
                    yield table

        return LocalRows(write_dataset(made(), features(self.dataset.features))), told

    def tell(self, function: TableFunction, *shared: Any, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """See `Rows`."""
        return (report for _, report in self._results(function, shared, columns=columns))

    def _results(
        self,
        function: TableFunction,
        shared: Sequence[Any],
        each: Iterable[Any] | None = None,
        columns: Sequence[str] | None = None,
        rows: int = READ_ROWS,
    ) -> Iterator[tuple[pa.Table | None, Any]]:
        # Each topic is a separate table, because it may be large.
        grouped = self.grouped
        own = repeat(()) if each is None else ((argument,) for argument in each)
        with progress_bar(len(self.dataset), _name_of(function), "topics" if grouped else "rows") as bar:
            for number, table in enumerate(iter_tables(self.dataset, columns, 1 if grouped else rows)):
                yield function(_numbered(table, number) if grouped else table, *shared, *next(own))
                bar.update(len(table))

    def embedded(self, reader: SampleReader) -> tuple[LocalRows, Readability]:
        """See `Rows`."""
        vectors, found = reader.dataset_vectors(self.dataset)
        if EMBEDDING in self.columns:
            return self, found
        return LocalRows(
            write_dataset(self._beside(vectors), Features({**self.dataset.features, EMBEDDING: TEXT}))
        ), found

    def _beside(self, vectors: NDArray[np.float32]) -> Iterator[pa.Table]:
        """Yield the rows with a column of embeddings. As texts, embeddings take twice the memory of the vectors."""
        start = 0
        for table in iter_tables(self.dataset):
            texts = encode_vectors(vectors[start : start + len(table)])
            yield set_column(table, EMBEDDING, arrow_array(texts, TEXT()))
            start += len(table)

    def with_vectors(self, reader: SampleReader, drops_unreadable: bool) -> tuple[LocalRows, Readability]:
        """See `Rows`."""
        vectors, found = reader.dataset_vectors(self.dataset, drops_unreadable)
        return LocalRows(self.dataset, vectors), found

    def choose(
        self, choose: Callable[[NDArray[np.float32]], T], reader: SampleReader, model: ModelUse | None = None
    ) -> T:
        """See `Rows`."""
        assert self._vectors is not None
        with working(f"{reader.operator}: choosing of {many(len(self), 'row')}"):
            return choose(self._vectors)

    def parts(self, reader: SampleReader, count: int) -> None:
        """See `Rows`."""

    def once(self, function: Callable[[], T], model: ModelUse | None = None) -> T:
        """See `Rows`."""
        return function()

    def take(self, positions: NDArray[np.int64], dropped: Sequence[str] = ()) -> LocalRows:
        """See `Rows`."""
        kept = [name for name in self.columns if name not in dropped]
        return LocalRows(rows_of_dataset(self.dataset, positions, kept))

    def identified(self, reader: SampleReader, drops_unreadable: bool) -> tuple[LocalIdentifiedRows, Readability]:
        """See `Rows`."""
        return LocalIdentifiedRows.of(self.dataset, reader, drops_unreadable)

    def asked(
        self,
        job: AskingJob,
        manifest: Manifest,
        *,
        features: Callable[[Features], Features] = lambda features: features,
        stats: Mapping[str, pa.DataType] | None = None,
    ) -> tuple[LocalRows, list[Any]]:
        """See `Rows`."""
        try:
            results = self._results(job.ask, (), repeat(None), rows=rows_at_once(job.engines))
            made = self._made(results, features)
            job.finish()
        finally:
            # Even if the run had to stop, its cost is recorded.
            _note(manifest, job.account())
        return made

    def merged(
        self, job: MergeJob, manifest: Manifest, groups: Sequence[Sequence[Sequence[Group]]] | None = None
    ) -> LocalRows:
        """See `Rows`."""
        sink = TableSink(job.features(self.dataset.features))
        work = job.begin(sink)
        known = None if groups is None else chain.from_iterable(groups)
        try:
            job.merge(lambda: iter_topics(self.dataset), work, known)
        finally:
            # Even if the run had to stop, its cost is recorded.
            _note(manifest, job.account(work))
        return LocalRows(sink.finish())

    def tried(
        self, job: MergeJob, groups: Sequence[Sequence[Sequence[Group]]], manifest: Manifest
    ) -> list[list[list[tuple[Merge, bool | None]]]]:
        """See `Rows`."""
        try:
            found = iter(job.try_out(iter_topics(self.dataset), chain.from_iterable(groups), MergeTrial()))
        finally:
            _note(manifest, job.spent())
        return [[next(found) for _ in table] for table in groups]


def _note(manifest: Manifest, account: tuple[dict[str, Any], dict[str, Any]]) -> None:
    figures, details = account
    manifest.figures |= figures
    manifest.details |= details


def _name_of(function: TableFunction) -> str:
    """Return the operator that a function of tables works for, for a progress bar; else its own name."""
    job = getattr(function, "__self__", None)
    operator = getattr(getattr(job, "reader", job), "operator", None)
    return operator if isinstance(operator, str) else getattr(function, "__name__", "rows").strip("_").replace("_", " ")


def _numbered(topic: pa.Table, number: int) -> pa.Table:
    """Return a topic with its number in its metadata, if it has none: Data-Juicer's own groupers add no number."""
    metas = python_rows(topic.select([BATCH_META])) if BATCH_META in topic.column_names else [{}]
    meta = metas[0].get(BATCH_META) or {}
    return topic if TOPIC_ID in meta else set_column(topic, BATCH_META, json_array([meta | {TOPIC_ID: number}]))
