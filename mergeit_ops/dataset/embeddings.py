"""Convert embeddings to an Arrow column of texts and back. A dataset may also bring them as lists of floats."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.vectors import checked, decode_joined, decode_vectors, encode_joined, encode_vectors, has_text
from mergeit_ops.dataset.tables import set_column

_LARGEST_TEXT = 2**31 - 1  # bytes, the limit of 32-bit offsets


def column_vectors(column: pa.ChunkedArray[Any], first_row: int = 0) -> NDArray[np.float32]:
    """Return the matrix in a column of texts or of lists of floats.

    :param column: n texts, or n lists of one length.
    :param first_row: number of the first row, for the message.
    :return: (n, d) float32.
    :raises ValueError: as `decode_vectors`.
    """
    if isinstance(column.type, pa.BaseExtensionType):  # tensors, as Ray writes them
        extension: Any = column
        column = pa.chunked_array([chunk.storage for chunk in extension.chunks], extension.type.storage_type)
    if _is_list(column.type):
        return _list_vectors(column, first_row)
    chunks = [chunk for chunk in column.chunks if len(chunk)]
    blocks: list[NDArray[np.float32]] = []
    for chunk in chunks:
        block = _decode_joined(chunk, first_row + sum(len(part) for part in blocks))
        if block is None:
            return decode_vectors(column.to_pylist(), first_row)
        blocks.append(block)
    if not blocks:
        return np.zeros((0, 0), dtype=np.float32)
    if len({block.shape[1] for block in blocks}) > 1:
        return decode_vectors(column.to_pylist(), first_row)
    return np.concatenate(blocks) if len(blocks) > 1 else blocks[0]


def rows_with_text(column: pa.ChunkedArray[Any], first_row: int = 0) -> NDArray[np.bool_]:
    """Return which rows of a column of embeddings have a text to embed, without reading their vectors.

    :param column: n texts, or n lists of floats.
    :param first_row: number of the first row, for the message.
    :return: (n,) bool; False for zero vectors.
    :raises ValueError: as `column_vectors`.
    """
    first = column[0].as_py() if len(column) else None
    if not _is_text(column.type) or not isinstance(first, str):
        return has_text(column_vectors(column, first_row))
    zeros = base64.b64encode(bytes(len(base64.b64decode(first)))).decode("ascii")
    texts = column.cast(pa.large_string())
    differs: Any = pc.not_equal(texts, pa.scalar(zeros, pa.large_string()))
    filled: Any = pc.fill_null(differs, True)
    return np.asarray(filled.to_numpy(), dtype=bool)


def embeddings_as_text(table: pa.Table) -> pa.Table:
    """Return a table with embeddings as texts, even if they were lists of floats.

    :param table: flat rows.
    :raises ValueError: as `column_vectors`.
    """
    if EMBEDDING not in table.column_names or _is_text(table.schema.field(EMBEDDING).type):
        return table
    return set_column(table, EMBEDDING, vectors_column(column_vectors(table.column(EMBEDDING))).combine_chunks())


def zeroed(table: pa.Table, mask: NDArray[np.bool_]) -> pa.Table:
    """Return a table with zero vectors in some rows.

    :param table: flat rows with embeddings as texts.
    :param mask: (n,) true for these rows.
    """
    if not mask.any():
        return table
    column = table.column(EMBEDDING)
    zeros = base64.b64encode(bytes(len(base64.b64decode(column[0].as_py())))).decode("ascii")
    column = pc.if_else(pa.array(mask), pa.scalar(zeros, column.type), column)
    return set_column(table, EMBEDDING, column.combine_chunks())


def vectors_column(vectors: NDArray[np.float32]) -> pa.ChunkedArray[Any]:
    """Return a matrix as a column of texts.

    :param vectors: (n, d) float32, n small enough for the texts to fit into memory.
    """
    chunks = []
    rows = max(1, _LARGEST_TEXT // max(1, vectors.shape[1] * 8))
    for start in range(0, len(vectors), rows):
        block = vectors[start : start + rows]
        joined = encode_joined(block)
        if joined is None:
            chunks.append(pa.array(encode_vectors(block), pa.string()))
            continue
        offsets = (np.arange(len(block) + 1) * (len(joined) // len(block))).astype(np.int32)
        chunks.append(pa.StringArray.from_buffers(len(block), pa.py_buffer(offsets.tobytes()), pa.py_buffer(joined)))
    return pa.chunked_array(chunks, pa.string())


def _is_text(kind: pa.DataType) -> bool:
    return not isinstance(kind, pa.BaseExtensionType) and not _is_list(kind)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _list_vectors(column: pa.ChunkedArray[Any], first_row: int) -> NDArray[np.float32]:
    kind = column.type.value_type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise ValueError(f"it holds lists of {kind}, but they must be lists of floats")
    if not len(column):
        return np.zeros((0, 0), dtype=np.float32)
    lengths = pc.list_value_length(column).to_numpy()
    odd = np.flatnonzero(~(lengths == lengths[0]) | ~(lengths > 0))
    if len(odd):
        number, length = int(odd[0]), lengths[odd[0]]
        if not length > 0:  # null counts as not a number
            raise ValueError(f"row {first_row + number} has no embedding")
        raise ValueError(
            f"row {first_row + number} has an embedding of width {int(length)}, but the first row has one of width "
            f"{int(lengths[0])}"
        )
    values = pc.list_flatten(column)
    if values.null_count:
        row = int(np.flatnonzero(values.is_null().to_numpy())[0] // lengths[0])
        raise ValueError(f"row {first_row + row} has an embedding with a null in it")
    matrix = values.to_numpy().astype(np.float32).reshape(len(column), int(lengths[0]))
    return checked(matrix, first_row)


def _decode_joined(chunk: pa.Array[Any], first_row: int) -> NDArray[np.float32] | None:
    wide = pa.types.is_large_string(chunk.type)
    if chunk.null_count or not (wide or pa.types.is_string(chunk.type)):
        return None
    _, offsets_buffer, data = chunk.buffers()
    size = 8 if wide else 4
    assert offsets_buffer is not None
    dtype = np.dtype(np.int64 if wide else np.int32)
    offsets = np.frombuffer(memoryview(offsets_buffer), dtype, len(chunk) + 1, chunk.offset * size)
    lengths = np.diff(offsets)
    if data is None or (lengths != lengths[0]).any():
        return None
    return decode_joined(memoryview(data)[int(offsets[0]) : int(offsets[-1])], len(chunk), first_row)
