"""Topics as rows: every column of a topic's row holds the list of its samples' values, as with Data-Juicer's
groupers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features, Json, List
from numpy.typing import NDArray

from mergeit_ops.core.columns import BATCH_META, EMBEDDING
from mergeit_ops.core.formats import CHAT_COLUMNS, ROLE_FIELDS
from mergeit_ops.core.rows.lineage import TOPIC_ID
from mergeit_ops.dataset.embeddings import embeddings_as_text, zeroed
from mergeit_ops.dataset.tables import JSON, READ_ROWS, RowReader, iter_tables, json_array, python_columns
from mergeit_ops.errors import DatasetError

EMBEDDING_MODEL = "embedding_model"
"""Key of the batch metadata for the model of a topic's vectors, if the grouper knows it."""

_BLOCK_ROWS = 20_000  # samples per written table, large enough for speed
_BLOCK_BYTES = 2**28  # far below Arrow's 2 GiB per column
_READ_BYTES = 2**22  # bytes of topics that are read at a time


@dataclass(frozen=True)
class Topic:
    """One topic with its samples.

    :param topic_id: number of the topic.
    :param table: its samples, one row each, without the batch metadata.
    :param batch_meta: what the grouper has recorded about the topic.
    """

    topic_id: int
    table: pa.Table
    batch_meta: dict[str, Any]

    def row(self, position: int) -> pa.Table:
        """Return one of its samples."""
        return self.table.slice(position, 1)

    def take(self, positions: NDArray[np.int64]) -> Topic:
        """Return the topic with some of its samples."""
        batch_meta = self.batch_meta | {"batch_size": len(positions)}
        return Topic(self.topic_id, self.table.take(pa.array(positions, pa.int64())), batch_meta)


def is_grouped(features: Features) -> bool:
    """Return whether rows are topics.

    If there is batch metadata, our grouper has written it, and the rows are topics. Data-Juicer's groupers write none.
    Their rows have only lists, and none of these is a list of turns, unlike a chat in flat data.
    """
    if BATCH_META in features:
        return True
    return bool(features) and all(
        isinstance(feature, List) and not _may_be_turns(name, feature.feature) for name, feature in features.items()
    )


def _may_be_turns(column: str, entry: Any) -> bool:
    """Return whether a list of such entries may be the turns of one conversation.

    :param column: column of the list.
    :param entry: type of an entry.
    """
    if isinstance(entry, Mapping):
        return not ROLE_FIELDS.isdisjoint(entry)
    return isinstance(entry, Json) or (column in CHAT_COLUMNS and not isinstance(entry, List))


def flat_features(features: Features) -> Features:
    """Return the columns and types of the samples inside topics."""
    return Features({name: feature.feature for name, feature in features.items() if name != BATCH_META})


def flat_types(types: Mapping[str, pa.DataType]) -> dict[str, pa.DataType]:
    """Return the columns and Arrow types of the samples inside topics."""
    return {name: getattr(kind, "value_type", kind) for name, kind in types.items() if name != BATCH_META}


def topic_features(features: Features) -> Features:
    """Return the columns and types of topics whose samples have the given columns."""
    return Features({name: List(feature) for name, feature in features.items()} | {BATCH_META: JSON})


def topic_notes(embedding_model: str | None) -> dict[str, Any]:
    """Return what the grouper records about every topic.

    :param embedding_model: model of the vectors; None if it is unknown.
    """
    return {} if embedding_model is None else {EMBEDDING_MODEL: embedding_model}


def iter_topics(dataset: Dataset) -> Iterator[Topic]:
    """Yield the topics of a grouped dataset, in order; topics of Data-Juicer's own groupers are numbered."""
    first_number = 0
    row_bytes = dataset.data.nbytes / max(1, len(dataset.data))
    for block in iter_tables(dataset, rows=int(max(1, min(READ_ROWS, _READ_BYTES / max(1.0, row_bytes))))):
        yield from table_topics(block, first_number)
        first_number += block.num_rows


def table_topics(table: pa.Table, first_number: int = 0) -> Iterator[Topic]:
    """Yield the topics of a table with one row per topic, in order.

    :param table: topics.
    :param first_number: number of the first topic, if topics bring no numbers.
    """
    metas = python_columns(table.select([BATCH_META]))[BATCH_META] if BATCH_META in table.column_names else None
    names = [name for name in table.column_names if name != BATCH_META]
    columns = [_values_of_rows(table.column(name)) for name in names]
    samples = zip(*columns, strict=True) if names else [()] * table.num_rows
    for number, values in enumerate(samples):
        batch_meta = {} if metas is None else metas[number]
        topic_id = int(batch_meta.get(TOPIC_ID, first_number + number))
        yield Topic(topic_id, pa.table(dict(zip(names, values, strict=True))), batch_meta)


def group_rows(
    samples: Dataset,
    extra: Mapping[str, Callable[[NDArray[np.int64]], pa.Array[Any]]],
    labels: NDArray[np.int64],
    readable: NDArray[np.bool_] | None = None,
    batch_meta: Mapping[str, Any] | None = None,
) -> Iterator[pa.Table]:
    """Yield tables of topics, ascending by label, with samples in the order of the dataset.

    :param samples: n flat rows.
    :param extra: further columns, each a function from positions of rows to their values.
    :param labels: (n,) topic of each row.
    :param readable: (n,) which rows can be read; the embeddings of the others become zero vectors. None: all.
    :param batch_meta: what to record about every topic, besides its id and its size.
    :raises DatasetError: if a column of one topic takes more than the 2 GiB that Arrow can hold in a row.
    """
    reader = RowReader(samples)
    block_rows = int(min(_BLOCK_ROWS, max(1.0, _BLOCK_BYTES / max(1.0, reader.row_bytes))))
    order = np.argsort(labels, kind="stable")
    ids, starts = np.unique(labels[order], return_index=True)
    bounds = np.append(starts, len(labels))
    first = 0
    while first < len(ids):
        # A block holds whole topics until it is full; a larger topic is a separate block.
        last = max(first + 1, int(np.searchsorted(bounds, bounds[first] + block_rows, side="right")) - 1)
        rows = order[bounds[first] : bounds[last]]
        table = embeddings_as_text(reader.take(rows))
        if readable is not None and EMBEDDING in table.column_names:
            table = zeroed(table, ~readable[rows])
        for name, values_of in extra.items():
            table = table.append_column(name, values_of(rows))
        yield _topic_table(table, ids[first:last], bounds[first : last + 1] - bounds[first], batch_meta or {})
        first = last


def topic_table(topics: Sequence[Topic]) -> pa.Table:
    """Return topics as one table with a row per topic; the inverse of `iter_topics`."""
    table = pa.concat_tables([topic.table for topic in topics])
    bounds = np.cumsum([0, *(topic.table.num_rows for topic in topics)])
    grouped = _topic_table(table, [topic.topic_id for topic in topics], bounds, {})
    meta = json_array([topic.batch_meta for topic in topics])
    return grouped.set_column(grouped.column_names.index(BATCH_META), BATCH_META, meta)


def _topic_table(
    table: pa.Table, topic_ids: Iterable[int], bounds: NDArray[np.int64], batch_meta: Mapping[str, Any]
) -> pa.Table:
    offsets = pa.array(bounds, type=pa.int32())
    columns: dict[str, Any] = {
        name: pa.ListArray.from_arrays(offsets, _contiguous(table.column(name), name)) for name in table.column_names
    }
    sizes = np.diff(bounds)
    columns[BATCH_META] = json_array(
        {TOPIC_ID: int(topic_id), "batch_size": int(size), **batch_meta}
        for topic_id, size in zip(topic_ids, sizes, strict=True)
    )
    return pa.table(columns)


def _contiguous(column: pa.ChunkedArray[Any], name: str) -> pa.Array[Any]:
    try:
        combined = column.combine_chunks()
    except pa.ArrowInvalid as error:
        raise _too_large(column, name) from error
    if not isinstance(combined, pa.ChunkedArray):
        return combined
    # Older versions of Arrow return a chunked array here. Several chunks mean that the values do not fit into a single
    # one.
    if combined.num_chunks > 1:
        raise _too_large(column, name)
    return combined.chunk(0)


def _too_large(column: pa.ChunkedArray[Any], name: str) -> DatasetError:
    return DatasetError(
        f"A topic of {len(column):,} samples takes {column.nbytes / 2**30:.1f} GiB in the column '{name}', and Arrow "
        "holds at most 2 GiB of text in one row of a topic. Ask for more topics (num_clusters of "
        "topic_cluster_grouper), or drop the column before it."
    )


def _values_of_rows(column: pa.ChunkedArray[Any]) -> Iterator[pa.Array[Any]]:
    """Yield the values of each list of a column, without copying them."""
    for chunk in column.chunks:
        lists: Any = chunk
        if lists.null_count or not (pa.types.is_list(lists.type) or pa.types.is_large_list(lists.type)):
            yield from (lists.slice(number, 1).flatten() for number in range(len(lists)))
            continue
        values = lists.values
        for start, end in pairwise(lists.offsets.to_pylist()):
            yield values.slice(start, end - start)
