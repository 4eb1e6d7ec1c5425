"""The topic grouper on Ray: centroids are fitted on the driver on a bounded sample; all else stays on the cluster."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate, compress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray
from numpy.typing import NDArray

from mergeit_ops.core.columns import EMBEDDING, ROW_ID, is_content
from mergeit_ops.core.rows.identity import content_digests
from mergeit_ops.core.rows.lineage import TOPIC_ID
from mergeit_ops.core.topics.clustering import TopicModel, fit_sample
from mergeit_ops.core.vectors import has_text
from mergeit_ops.dataset.embeddings import column_vectors, embeddings_as_text, rows_with_text
from mergeit_ops.dataset.tables import python_columns, set_column
from mergeit_ops.dataset.topics import Topic, topic_table
from mergeit_ops.distributed.blocks import Blocks, Resources, finished
from mergeit_ops.distributed.columns import alike, with_structs
from mergeit_ops.distributed.schemas import common_schema, different_types
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.row_ids import ids_not_unique, row_ids
from mergeit_ops.jobs.sample_reader import SampleReader

_ORDER = "mergeit_row_order"
_TOPIC = "mergeit_topic"
_SKETCH_IDS = 1_000  # per block
_GROWN_CLUSTER = 64
_ROWS_OF_A_TASK = 5_000
_PARTITION_BYTES = 2**28  # of topics that one task puts together: far below Arrow's 2 GiB per column


@dataclass(frozen=True)
class IdSketch:
    """A block's report to the driver: its size, and some ids of its readable rows, evenly spaced in order.

    :param rows: readable rows in the block.
    :param size: bytes of the block.
    :param width: dimensions of its embeddings.
    :param ids: every `step`-th id, ascending, from the lowest on.
    :param step: rows from one to the next.
    """

    rows: int
    size: int
    width: int
    ids: list[str]
    step: int


def identified(blocks: Blocks, reader: SampleReader, brought: bool) -> tuple[Blocks, list[IdSketch]]:
    """Give every row the id it has in default mode, unless it brings one, and check embeddings and ids.

    :param blocks: flat rows with embeddings.
    :param reader: reads the rows.
    :param brought: whether they bring ids.
    :return: the rows, and what there is to know of each block.
    :raises EmbeddingError: if embeddings brought along are unusable, or of different widths.
    :raises DatasetError: if the ids brought along are not unique texts.
    """
    schemas = blocks.tell(_schema)
    if any(not schema.equals(schemas[0]) for schema in schemas):
        # The content of a row is what it would be in one table with all others.
        blocks, _ = blocks.map(_alike, common_schema(schemas, reader.operator), reader.operator)
    known, sketches = blocks.map(_identify, reader, brought, each=blocks.firsts)
    reader.check_widths(sketch.width for sketch in sketches)
    positions, ordinals = _repetitions(known)
    if brought and len(positions):
        raise ids_not_unique(reader.operator)
    if len(positions):
        bounds = np.searchsorted(positions, [0, *accumulate(known.rows)])
        own = [
            (positions[low:high] - first, ordinals[low:high])
            for first, low, high in zip(known.firsts, bounds, bounds[1:], strict=False)
        ]
        known, _ = known.map(_number, each=own)
    return known, sketches


def _schema(table: pa.Table) -> tuple[None, pa.Schema]:
    return None, table.schema.remove_metadata()


def _alike(table: pa.Table, schema: pa.Schema, operator: str) -> tuple[pa.Table, None]:
    try:
        return alike(table, schema), None
    except pa.ArrowInvalid:
        # A whole number that no float represents exactly.
        for field in table.schema:
            kind = schema.field(field.name).type
            try:
                table.column(field.name).cast(kind)
            except pa.ArrowInvalid:
                raise DatasetError(different_types(operator, field.name, field.type, kind)) from None
        raise


def _identify(table: pa.Table, reader: SampleReader, brought: bool, first: int) -> tuple[pa.Table, IdSketch]:
    vectors = reader.vectors(table.select([EMBEDDING]), first)
    table = embeddings_as_text(table)
    if brought:
        ids = row_ids(table, Counter(), reader.operator)
    else:
        content = [name for name in table.column_names if is_content(name)]
        ids = content_digests(python_columns(table.select(content)), table.num_rows)
        table = table.append_column(ROW_ID, pa.array(ids, type=pa.string()))
    ids = sorted(compress(ids, has_text(vectors)))
    step = max(1, math.ceil(len(ids) / _SKETCH_IDS))
    return table, IdSketch(len(ids), table.nbytes, vectors.shape[1], ids[::step], step)


def _repetitions(blocks: Blocks) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which rows have an id that rows before them have, and how many before them do; by ascending row."""
    parts = min(len(blocks.refs), _GROWN_CLUSTER)
    spread = _hashed.options(num_returns=parts) if parts > 1 else _hashed
    hashed = [spread.remote(ref, first, parts) for ref, first in zip(blocks.refs, blocks.firsts, strict=True)]
    columns = zip(*hashed, strict=True) if parts > 1 else [hashed]
    found = finished([_repeated.remote(*column) for column in columns])
    positions = np.concatenate([positions for positions, _ in found])
    ordinals = np.concatenate([ordinals for _, ordinals in found])
    order = np.argsort(positions)
    return positions[order], ordinals[order]


@ray.remote
def _hashed(table: pa.Table, first: int, parts: int) -> Any:
    """Return (2, m) hashes of ids and numbers of rows, for each of some parts of all hashes."""
    ids = table.column(ROW_ID).to_pylist()
    hashes = np.frombuffer(b"".join(blake2b(row_id.encode(), digest_size=8).digest() for row_id in ids), np.uint64)
    both = np.stack([hashes, np.arange(first, first + len(ids), dtype=np.uint64)])
    split = [both[:, hashes % parts == part] for part in range(parts)]
    return split if parts > 1 else split[0]


@ray.remote
def _repeated(*parts: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    hashes, rows = np.concatenate(parts, axis=1)
    order = np.lexsort((rows, hashes))
    hashes, rows = hashes[order], rows[order]
    starts = np.flatnonzero(np.diff(hashes, prepend=~hashes[:1]))
    ordinals = np.arange(len(hashes)) - np.repeat(starts, np.diff(starts, append=len(hashes)))
    return rows[ordinals > 0].astype(np.int64), ordinals[ordinals > 0]


def _number(table: pa.Table, repeated: tuple[NDArray[np.int64], NDArray[np.int64]]) -> tuple[pa.Table, None]:
    ids = table.column(ROW_ID).to_pylist()
    for position, ordinal in zip(*repeated, strict=True):
        ids[position] = f"{ids[position]}-{ordinal}"
    return set_column(table, ROW_ID, pa.array(ids, type=pa.string())), None


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
    table = table.filter(pa.array(rows_with_text(table.column(EMBEDDING))))
    if cutoff is not None:
        table = table.filter(pc.less_equal(table.column(ROW_ID), cutoff))
    return None, (table.column(ROW_ID).to_pylist(), column_vectors(table.column(EMBEDDING)))


def grouped(blocks: Blocks, size: int, model: TopicModel, resources: Resources) -> tuple[Blocks, NDArray[np.int64]]:
    """Put the rows of each topic together.

    :param blocks: rows with ids and embeddings.
    :param size: bytes of all blocks.
    :param model: the fitted centroids.
    :param resources: what a task takes.
    :return: topics, one row each, their samples in the order of the input; and rows per topic, (num_clusters,) or one
        more if rows that cannot be read have a separate topic.
    """
    # A floor by rows as well: a cluster that grows with its work has few processors as yet.
    few = min(_GROWN_CLUSTER, math.ceil(sum(blocks.rows) / _ROWS_OF_A_TASK))
    partitions = max(2 * resources.at_once(), math.ceil(size / _PARTITION_BYTES), few)
    partitions = min(partitions, model.num_clusters)
    shared = ray.put(model)
    # Tasks of our own, not Ray Data's group-by: rows of a node that is lost are made again from what they were made of.
    split = _split.options(num_returns=partitions + 1, **resources.options())
    parts = [
        split.remote(ref, shared, first, partitions) for ref, first in zip(blocks.refs, blocks.firsts, strict=True)
    ]
    counts = finished([sizes for *_, sizes in parts])
    gather = _gather.options(num_returns=2, **resources.options())
    gathered = [gather.remote(*column) for column in zip(*(tables for *tables, _ in parts), strict=True)]
    topics = finished([rows for _, rows in gathered])
    sizes = np.sum(counts, axis=0)
    return Blocks([ref for ref, _ in gathered], topics), sizes if sizes[-1] else sizes[:-1]


@ray.remote
def _split(table: pa.Table, model: TopicModel, first: int, partitions: int) -> tuple[Any, ...]:
    """Return the rows of a block by topic modulo the number of partitions, and rows per topic."""
    vectors = column_vectors(table.column(EMBEDDING), first)
    labels = np.where(has_text(vectors), model.assign(vectors), model.num_clusters)
    order = pa.array(np.arange(first, first + table.num_rows))
    table = table.append_column(_TOPIC, pa.array(labels)).append_column(_ORDER, order)
    parts = [table.filter(pa.array(labels % partitions == number)) for number in range(partitions)]
    return *parts, np.bincount(labels, minlength=model.num_clusters + 1)


@ray.remote
def _gather(*parts: pa.Table) -> tuple[pa.Table | None, int]:
    """Return the topics of one partition, ascending, and how many they are."""
    table = pa.concat_tables(parts, promote_options="permissive")
    if not table.num_rows:
        return None, 0
    table = table.sort_by([(_TOPIC, "ascending"), (_ORDER, "ascending")])
    ids, starts = np.unique(table.column(_TOPIC).to_numpy(), return_index=True)
    rows = table.drop_columns([_TOPIC, _ORDER])
    ends = [*starts[1:], table.num_rows]
    topics = [
        _topic(rows.slice(start, end - start), int(topic_id))
        for topic_id, start, end in zip(ids, starts, ends, strict=True)
    ]
    return with_structs(topic_table(topics), pa.schema([])), len(topics)


def _topic(rows: pa.Table, topic_id: int) -> Topic:
    return Topic(topic_id, rows, {TOPIC_ID: topic_id, "batch_size": rows.num_rows})
