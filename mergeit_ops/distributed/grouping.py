"""Grouping the rows of a Ray dataset: a sample for the centroids, and a shuffle of all rows into topics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray
from numpy.typing import NDArray
from ray.data import Dataset

from mergeit_ops.core.columns import EMBEDDING, ROW_ID
from mergeit_ops.core.rows.lineage import TOPIC_ID
from mergeit_ops.core.topics.clustering import TopicModel, fit_sample
from mergeit_ops.core.vectors import has_text
from mergeit_ops.dataset.embeddings import column_vectors, rows_with_text
from mergeit_ops.dataset.topics import Topic, topic_notes, topic_table
from mergeit_ops.distributed.blocks import Blocks, Resources, finished
from mergeit_ops.distributed.columns import with_structs
from mergeit_ops.distributed.row_ids import PARTS, IdSketch

__all__ = ["RayIdentifiedRows"]

_ORDER = "mergeit_row_order"
_TOPIC = "mergeit_topic"
_ROWS_OF_A_TASK = 5_000
_PARTITION_BYTES = 2**28  # of the topics of one task; far below Arrow's limit of 2 GiB per column


@dataclass(frozen=True)
class RayIdentifiedRows:
    """See `IdentifiedRows`.

    :param blocks: flat rows with ids and embeddings.
    :param sketches: a sketch of each block.
    :param resources: resources of a task.
    :param embedding_model: the model of the embeddings; None: it is unknown.
    """

    blocks: Blocks
    sketches: Sequence[IdSketch]
    resources: Resources
    embedding_model: str | None

    def with_lowest_ids(self, size: int) -> NDArray[np.float32]:
        """See `IdentifiedRows`."""
        parts = [part for part in self.blocks.tell(_below, _cutoff_for(self.sketches, size)) if len(part[0])]
        ids = [row_id for part, _ in parts for row_id in part]
        vectors = np.concatenate([part for _, part in parts])
        return vectors[fit_sample(ids, size)]

    def topics(self, model: TopicModel | None) -> tuple[Dataset, NDArray[np.int64]]:
        """See `IdentifiedRows`."""
        assert model is not None, "operators return an empty Ray dataset as it is"
        blocks, options = self.blocks, self.resources.options()
        partitions = min(self._partitions(), model.num_clusters)
        shared = ray.put(model)
        # Our own tasks replace Ray Data's group-by. If a node is lost, Ray makes its rows again from the tasks' inputs.
        split = _split.options(num_returns=partitions + 1, **options)
        parts = [
            split.remote(ref, shared, first, partitions) for ref, first in zip(blocks.refs, blocks.firsts, strict=True)
        ]
        counts = finished([sizes for *_, sizes in parts])
        gather = _gather.options(num_returns=2, **options)
        notes = topic_notes(self.embedding_model)
        gathered = [gather.remote(notes, *column) for column in zip(*(tables for *tables, _ in parts), strict=True)]
        topics = finished([rows for _, rows in gathered])
        sizes = np.sum(counts, axis=0)
        return Blocks([ref for ref, _ in gathered], topics).dataset(), sizes if sizes[-1] else sizes[:-1]

    def _partitions(self) -> int:
        size = sum(sketch.size for sketch in self.sketches)
        # A minimum by rows, because a cluster that grows with its work has few processors at first.
        few = min(PARTS, math.ceil(sum(self.blocks.rows) / _ROWS_OF_A_TASK))
        return max(2 * self.resources.at_once(), math.ceil(size / _PARTITION_BYTES), few)


def _cutoff_for(sketches: Sequence[IdSketch], size: int) -> str | None:
    """Return an id so that `size` rows, or a few more, have this id or a lower one; None: all rows are wanted.

    :param sketches: one per block.
    :param size: number of wanted rows.
    """
    if sum(sketch.rows for sketch in sketches) <= size:
        return None
    # The first id of a sketch counts for one row. Each further id counts for the rows after the id before it.
    known = sorted(
        (row_id, sketch.step if number else 1) for sketch in sketches for number, row_id in enumerate(sketch.ids)
    )
    reached = accumulate(rows for _, rows in known)
    return next((row_id for (row_id, _), below in zip(known, reached, strict=True) if below >= size), None)


def _below(table: pa.Table, cutoff: str | None) -> tuple[None, tuple[list[str], NDArray[np.float32]]]:
    table = table.filter(pa.array(rows_with_text(table.column(EMBEDDING))))
    if cutoff is not None:
        table = table.filter(pc.less_equal(table.column(ROW_ID), pa.scalar(cutoff, pa.string())))
    ids: list[Any] = table.column(ROW_ID).to_pylist()
    return None, (ids, column_vectors(table.column(EMBEDDING)))


@ray.remote
def _split(table: pa.Table, model: TopicModel, first: int, partitions: int) -> tuple[Any, ...]:
    """Return the rows of a block by their topic modulo the number of partitions, and the number of rows per topic."""
    vectors = column_vectors(table.column(EMBEDDING), first)
    labels = np.where(has_text(vectors), model.assign(vectors), model.num_clusters)
    order = pa.array(np.arange(first, first + table.num_rows))
    table = table.append_column(_TOPIC, pa.array(labels)).append_column(_ORDER, order)
    parts = [table.filter(pa.array(labels % partitions == number)) for number in range(partitions)]
    return *parts, np.bincount(labels, minlength=model.num_clusters + 1)


@ray.remote
def _gather(notes: Mapping[str, Any], *parts: pa.Table) -> tuple[pa.Table | None, int]:
    """Return the topics of one partition, ascending, and their number."""
    table = pa.concat_tables(parts, promote_options="permissive")
    if not table.num_rows:
        return None, 0
    table = table.sort_by([(_TOPIC, "ascending"), (_ORDER, "ascending")])
    ids, starts = np.unique(table.column(_TOPIC).to_numpy(), return_index=True)
    rows = table.drop_columns([_TOPIC, _ORDER])
    ends = [*starts[1:], table.num_rows]
    topics = [
        _topic(rows.slice(start, end - start), int(topic_id), notes)
        for topic_id, start, end in zip(ids, starts, ends, strict=True)
    ]
    return with_structs(topic_table(topics), pa.schema([])), len(topics)


def _topic(rows: pa.Table, topic_id: int, notes: Mapping[str, Any]) -> Topic:
    return Topic(topic_id, rows, {TOPIC_ID: topic_id, "batch_size": rows.num_rows, **notes})
