"""The topic grouper on Ray: centroids are fitted on the driver on a bounded sample; all else stays on the cluster."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from ray.data import Dataset

from mergeit_ops.core.columns import EMBEDDING, ROW_ID, is_content
from mergeit_ops.core.identity import content_digests, number_duplicates
from mergeit_ops.core.lineage import TOPIC_ID
from mergeit_ops.core.topics import TopicModel, fit_sample
from mergeit_ops.dataset.embeddings import column_vectors
from mergeit_ops.dataset.tables import python_columns, set_column
from mergeit_ops.dataset.topics import Topic, topic_table
from mergeit_ops.distributed.blocks import Blocks, materialized
from mergeit_ops.distributed.columns import with_structs

_ORDER = "mergeit_row_order"
_TOPIC = "mergeit_topic"
_SKETCH_IDS = 1_000  # per block
_ROWS_PER_PARTITION = 50_000  # of topics that one task puts together: 100 to 200 MB


@dataclass(frozen=True)
class IdSketch:
    """Some of a block's row ids, evenly spaced in their order.

    :param rows: rows in the block.
    :param ids: every `step`-th id, ascending, from the lowest on.
    :param step: rows from one to the next.
    """

    rows: int
    ids: list[str]
    step: int


def identified(blocks: Blocks, brought: bool) -> tuple[Blocks, list[IdSketch]]:
    """Give every row its content digest for an id, unless it brings an id.

    :param blocks: flat rows.
    :param brought: whether they bring ids.
    :return: the rows, and a sketch of the ids of each block.
    """
    return blocks.map(_identify, brought)


def _identify(table: pa.Table, brought: bool) -> tuple[pa.Table, IdSketch]:
    if not brought:
        content = [name for name in table.column_names if is_content(name)]
        digests = content_digests(python_columns(table.select(content)), table.num_rows)
        table = table.append_column(ROW_ID, pa.array(digests, type=pa.string()))
    ids = sorted(table.column(ROW_ID).to_pylist())
    step = max(1, math.ceil(len(ids) / _SKETCH_IDS))
    return table, IdSketch(len(ids), ids[::step], step)


def cutoff_for(sketches: Sequence[IdSketch], size: int) -> str | None:
    """Return an id at or below which at least `size` rows lie, and few more; None when all rows are wanted.

    :param sketches: one per block.
    :param size: rows wanted.
    """
    if sum(sketch.rows for sketch in sketches) <= size:
        return None
    # A block's first known id stands for itself, each further one for all rows since the one before.
    known = sorted(
        (row_id, sketch.step if number else 1) for sketch in sketches for number, row_id in enumerate(sketch.ids)
    )
    reached = accumulate(rows for _, rows in known)
    return next((row_id for (row_id, _), below in zip(known, reached, strict=True) if below >= size), None)


def fit_rows(blocks: Blocks, cutoff: str | None, size: int) -> NDArray[np.float32]:
    """Return the vectors that centroids are fitted on: those of the rows with the lowest ids, as in default mode.

    :param blocks: rows with ids and embeddings.
    :param cutoff: what `cutoff_for` says.
    :param size: rows wanted.
    :return: (min(n, size), d) float32, by ascending id.
    """
    parts = [part for part in blocks.tell(_below, cutoff) if len(part[0])]
    ids = [row_id for part, _ in parts for row_id in part]
    vectors = np.concatenate([part for _, part in parts])
    return vectors[fit_sample(ids, size)]


def _below(table: pa.Table, cutoff: str | None) -> tuple[None, tuple[list[str], NDArray[np.float32]]]:
    if cutoff is not None:
        table = table.filter(pc.less_equal(table.column(ROW_ID), cutoff))
    return None, (table.column(ROW_ID).to_pylist(), column_vectors(table.column(EMBEDDING)))


def grouped(blocks: Blocks, model: TopicModel, tasks: int) -> tuple[Dataset, NDArray[np.int64]]:
    """Put the rows of each topic together.

    :param blocks: rows with ids and embeddings.
    :param model: the fitted centroids.
    :param tasks: tasks that the cluster runs at once.
    :return: one row per topic, computed, its samples in the order of the input; and (num_clusters,) rows per topic.
    """
    firsts = [0, *accumulate(blocks.rows)][:-1]
    labelled, counts = blocks.map(_label, model, each=firsts)
    sizes = np.sum(counts, axis=0)
    partitions = max(2 * tasks, math.ceil(int(sizes.sum()) / _ROWS_PER_PARTITION))
    shuffled = labelled.dataset().groupby(_TOPIC, num_partitions=min(partitions, int((sizes > 0).sum())))
    return materialized(shuffled.map_groups(_topic, batch_format="pyarrow")), sizes


def _label(table: pa.Table, model: TopicModel, first: int) -> tuple[pa.Table, NDArray[np.int64]]:
    labels = model.assign(column_vectors(table.column(EMBEDDING), first))
    order = pa.array(np.arange(first, first + table.num_rows))
    labelled = table.append_column(_TOPIC, pa.array(labels)).append_column(_ORDER, order)
    return labelled, np.bincount(labels, minlength=model.num_clusters)


def _topic(table: pa.Table) -> pa.Table:
    """Return the rows of one topic as one row."""
    table = table.sort_by(_ORDER)
    topic_id = table.column(_TOPIC)[0].as_py()
    table = table.drop_columns([_TOPIC, _ORDER])
    # Rows of the same content have the same embedding and so the same topic: they are told apart here.
    ids = pa.array(number_duplicates(table.column(ROW_ID).to_pylist()), type=pa.string())
    table = set_column(table, ROW_ID, ids)
    meta = {TOPIC_ID: topic_id, "batch_size": table.num_rows}
    return with_structs(topic_table([Topic(topic_id, table, meta)]), pa.schema([]))
