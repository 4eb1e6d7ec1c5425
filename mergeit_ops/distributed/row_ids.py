"""The ids of the rows of a Ray dataset. Each row gets the id that it has in default mode."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate, compress
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray

from mergeit_ops.core.columns import EMBEDDING, ROW_ID, is_content
from mergeit_ops.core.rows.identity import content_digests
from mergeit_ops.core.vectors import has_text
from mergeit_ops.dataset.embeddings import embeddings_as_text
from mergeit_ops.dataset.tables import python_columns, set_column
from mergeit_ops.distributed.blocks import Blocks, finished
from mergeit_ops.distributed.columns import alike
from mergeit_ops.distributed.schemas import common_schema, different_types
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.row_ids import ids_not_unique, row_ids
from mergeit_ops.jobs.sample_reader import SampleReader

__all__ = ["PARTS", "IdSketch", "identified", "of_one_schema"]

PARTS = 64
"""Number of tasks that share the work on many rows. It is high enough for a cluster that grows with its work."""

_SKETCH_IDS = 1_000  # per block


@dataclass(frozen=True)
class IdSketch:
    """A block's report to the driver: its size, and some ids of its readable rows, evenly spaced in order.

    :param rows: readable rows in the block.
    :param size: bytes of the block.
    :param width: dimensions of its embeddings.
    :param ids: every `step`-th id, ascending, from the lowest on.
    :param step: number of rows from one id to the next.
    """

    rows: int
    size: int
    width: int
    ids: list[str]
    step: int


def identified(blocks: Blocks, reader: SampleReader, brought: bool) -> tuple[Blocks, list[IdSketch]]:
    """Give every row the id that it has in default mode, unless it brings one. Check embeddings and ids.

    :param blocks: flat rows with embeddings.
    :param reader: reads the rows.
    :param brought: whether the rows bring ids.
    :return: the rows, and a sketch of each block.
    :raises EmbeddingError: if embeddings are unusable or have different widths.
    :raises DatasetError: if the rows bring ids that are not texts, or not unique.
    """
    blocks = of_one_schema(blocks, reader)
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


def of_one_schema(blocks: Blocks, reader: SampleReader) -> Blocks:
    """Return the rows with the same columns and types in all blocks: the content of a row is what it would be in one
    table with all others.

    :param blocks: flat rows.
    :param reader: reads them.
    :raises DatasetError: if a column has incompatible types in different blocks.
    """
    schemas = blocks.tell(_schema)
    if all(schema.equals(schemas[0]) for schema in schemas):
        return blocks
    return blocks.map(_alike, common_schema(schemas, reader.operator), reader.operator)[0]


def _schema(table: pa.Table) -> tuple[None, pa.Schema]:
    return None, table.schema.remove_metadata()


def _alike(table: pa.Table, schema: pa.Schema, operator: str) -> tuple[pa.Table, None]:
    try:
        return alike(table, schema), None
    except pa.ArrowInvalid:
        # A float cannot represent some whole number exactly.
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
    """Return the rows whose id an earlier row has, ascending, and for each the number of earlier rows that have it."""
    parts = min(len(blocks.refs), PARTS)
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
    """Return the hashes of the ids and the numbers of the rows, (2, m) for each part of the hashes."""
    ids: list[Any] = table.column(ROW_ID).to_pylist()
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
