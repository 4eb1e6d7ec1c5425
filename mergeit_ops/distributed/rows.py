"""Rows of Data-Juicer's Ray executors, which are processed in tasks of the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import ray
from loguru import logger
from numpy.typing import NDArray
from ray.data import Dataset

from mergeit_ops.core.columns import BATCH_META, EMBEDDING, ROW_ID
from mergeit_ops.core.merging.pairing import Group
from mergeit_ops.core.selection.method import PARTITION_ROWS
from mergeit_ops.dataset.manifest import Manifest, added_up
from mergeit_ops.dataset.merge_table import Merge
from mergeit_ops.dataset.readability import Readability
from mergeit_ops.distributed.asking import asked
from mergeit_ops.distributed.blocks import Blocks, Resources, materialized
from mergeit_ops.distributed.embedding import check_embeddings, embedded, readable_only, with_zero_vectors
from mergeit_ops.distributed.environment import DriverEnvironment
from mergeit_ops.distributed.errors import own_errors
from mergeit_ops.distributed.export_folder import warn_of_earlier_export
from mergeit_ops.distributed.grouping import RayIdentifiedRows
from mergeit_ops.distributed.journal import JournalPlace, keep_journals, use_kept_journals
from mergeit_ops.distributed.merging import merged, tried
from mergeit_ops.distributed.parts import RayParts
from mergeit_ops.distributed.row_ids import identified
from mergeit_ops.jobs.asking import AskingJob
from mergeit_ops.jobs.merging import MergeJob
from mergeit_ops.jobs.rows import ModelUse, TableFunction
from mergeit_ops.jobs.sample_reader import SampleReader

__all__ = ["RayRows"]

T = TypeVar("T")


class RayRows:
    """See `Rows`.

    :param blocks: the rows.
    :param columns: names of their columns; None: they are read when needed.
    :param resources: what the recipe says about the tasks of the operator.
    :param marked: the same rows with embeddings, and with a zero vector for each text that cannot be read; None: the
        rows are not embedded yet.
    """

    def __init__(
        self, blocks: Blocks, columns: Sequence[str] | None, resources: Resources, marked: Blocks | None = None
    ) -> None:
        self.blocks = blocks
        self._columns = None if columns is None else list(dict.fromkeys(columns))
        self._resources = resources
        self._marked = marked
        self._computed: Dataset | None = None
        self._tried: tuple[dict[str, Any], dict[str, Any]] = {}, {}

    @property
    def columns(self) -> list[str]:
        """See `Rows`."""
        if self._columns is None:
            self._columns = list(self.dataset.columns() or ())
        return self._columns

    def __len__(self) -> int:
        return sum(self.blocks.rows)

    @classmethod
    def of(cls, dataset: Dataset, resources: Resources, operator: str | None = None) -> RayRows:
        """Compute a dataset.

        :param dataset: dataset of Ray.
        :param resources: what the recipe says about the tasks of the operator.
        :param operator: its registry name, to check that the blocks are one dataset; None: no check.
        :raises DatasetError: if a column has incompatible types in different blocks.
        """
        dataset = materialized(dataset, operator)
        rows = cls(Blocks.of(dataset), dataset.columns() or (), resources)
        rows._computed = dataset
        return rows

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """See `Rows`."""
        schema = self.dataset.schema()
        return dict(zip(schema.names, schema.types, strict=True))

    @property
    def grouped(self) -> bool:
        """See `Rows`."""
        return BATCH_META in self.columns

    @property
    def dataset(self) -> Dataset:
        """See `Rows`."""
        return self.blocks.dataset() if self._computed is None else self._computed

    def map(
        self,
        function: TableFunction,
        *shared: Any,
        each: Iterable[Any] | None = None,
        features: object = None,
        stats: Mapping[str, pa.DataType] | None = None,
        model: ModelUse | None = None,
    ) -> tuple[RayRows, list[Any]]:
        """See `Rows`."""
        resources = self._resources.of_task(model)
        # A function that writes stats may use a model, and the losses of a model are kept in a journal.
        journals = None if stats is None and model is None else keep_journals()
        blocks, told = self.blocks.map(
            function, *shared, each=each, resources=resources, journals=journals, stats=stats
        )
        return RayRows(blocks, None, self._resources), told

    def tell(self, function: TableFunction, *shared: Any, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """See `Rows`."""
        return iter(self.map(function, *shared)[1])

    def embedded(self, reader: SampleReader) -> tuple[RayRows, Readability]:
        """See `Rows`."""
        blocks, found = embedded(self.dataset, self.blocks, reader, self._resources)
        if EMBEDDING in self.columns:
            check_embeddings(blocks, reader)
        return RayRows(blocks, [*self.columns, EMBEDDING], self._resources), found

    def with_vectors(self, reader: SampleReader, drops_unreadable: bool) -> tuple[RayRows, Readability]:
        """See `Rows`."""
        blocks, found = embedded(self.dataset, self.blocks, reader, self._resources, drops_unreadable)
        marked = with_zero_vectors(blocks, reader, found)
        return RayRows(blocks, [*self.columns, EMBEDDING], self._resources, marked), found

    def choose(
        self, choose: Callable[[NDArray[np.float32]], T], reader: SampleReader, model: ModelUse | None = None
    ) -> T:
        """See `Rows`."""
        marked = self._marked
        assert marked is not None
        if len(self) > PARTITION_ROWS:
            logger.info(f"{reader.operator}: one task holds the embeddings of all {len(self):,} samples.")
        with own_errors():
            shared = ray.put(reader)
            vectors = [
                _vectors.remote(ref, shared, first) for ref, first in zip(marked.refs, marked.firsts, strict=True)
            ]
        return self._in_one_task(partial(_choose, choose, reader), model, *vectors)

    def parts(self, reader: SampleReader, count: int) -> RayParts:
        """See `Rows`."""
        assert self._marked is not None
        return RayParts.of(self._marked, reader, count, self._resources.without_gpus())

    def once(self, function: Callable[[], T], model: ModelUse | None = None) -> T:
        """See `Rows`."""
        return self._in_one_task(function, model)

    def _in_one_task(self, function: Callable[..., T], model: ModelUse | None, *refs: Any) -> T:
        options = self._resources.of_task(model).options()
        with own_errors():
            # The environment travels with the function, because Ray pickles it and does not log it.
            call = ray.put((function, DriverEnvironment(), None if model is None else keep_journals()))
            return ray.get(_call.options(**options).remote(call, *refs))

    def take(self, positions: NDArray[np.int64], dropped: Sequence[str] = ()) -> RayRows:
        """See `Rows`."""
        bounds = pairwise([*self.blocks.firsts, sum(self.blocks.rows)])
        parts = [positions[slice(*np.searchsorted(positions, [first, end]))] - first for first, end in bounds]
        blocks, _ = self.blocks.map(_take_rows, dropped, each=parts)
        return RayRows(blocks, [name for name in self.columns if name not in dropped], self._resources)

    def identified(self, reader: SampleReader, drops_unreadable: bool) -> tuple[RayIdentifiedRows, Readability]:
        """See `Rows`."""
        # Warn first, because embedding the rows may take hours.
        warn_of_earlier_export()
        blocks, found = embedded(self.dataset, self.blocks, reader, self._resources, drops_unreadable)
        blocks = with_zero_vectors(blocks, reader, found)
        blocks, sketches = identified(blocks, reader, brought=ROW_ID in self.columns)
        if found.unreadable and drops_unreadable:
            # Rows are dropped last, because the ordinals of duplicates count all rows, as in default mode.
            blocks = readable_only(blocks)
        model = reader.model_of_vectors(brought=EMBEDDING in self.columns)
        return RayIdentifiedRows(blocks, sketches, self._resources.without_gpus(), model), found

    def asked(
        self,
        job: AskingJob,
        manifest: Manifest,
        *,
        features: object = None,
        stats: Mapping[str, pa.DataType] | None = None,
    ) -> tuple[RayRows, list[Any]]:
        """See `Rows`."""
        blocks, told = asked(self.blocks, job, self._resources, manifest, stats=stats)
        return RayRows(blocks, None, self._resources), told

    def merged(
        self, job: MergeJob, manifest: Manifest, groups: Sequence[Sequence[Sequence[Group]]] | None = None
    ) -> RayRows:
        """See `Rows`."""
        try:
            return RayRows(merged(self.blocks, job, self._resources, manifest, groups), None, self._resources)
        finally:
            # The tasks of the merge do not count what the trial of groups used before it.
            for kept, tried_before in zip((manifest.figures, manifest.details), self._tried, strict=True):
                kept |= added_up([tried_before, {name: kept[name] for name in tried_before if name in kept}])

    def tried(
        self, job: MergeJob, groups: Sequence[Sequence[Sequence[Group]]], manifest: Manifest
    ) -> list[list[list[tuple[Merge, bool | None]]]]:
        """See `Rows`."""
        own = Manifest(job.reader.operator, {})
        own.figures.clear()
        try:
            found = tried(self.blocks, job, self._resources, own, groups)
        except BaseException:
            manifest.figures |= own.figures
            manifest.details |= own.details
            raise
        self._tried = own.figures, own.details
        return found


@ray.remote
def _vectors(table: pa.Table, reader: SampleReader, first: int) -> NDArray[np.float32]:
    return reader.vectors(table.select([EMBEDDING]), first)


@ray.remote
def _call(call: tuple[Callable[..., T], DriverEnvironment, JournalPlace | None], *arguments: Any) -> T:
    function, environment, journals = call
    environment.apply()
    use_kept_journals(journals)
    return function(*arguments)


def _choose(choose: Callable[[NDArray[np.float32]], T], reader: SampleReader, *vectors: NDArray[np.float32]) -> T:
    reader.check_widths(block.shape[1] for block in vectors)
    return choose(np.concatenate(vectors))


def _take_rows(table: pa.Table, dropped: Sequence[str], positions: NDArray[np.int64]) -> tuple[pa.Table, None]:
    return table.drop_columns([name for name in dropped if name in table.column_names]).take(positions), None
