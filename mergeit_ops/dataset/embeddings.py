"""Embeddings as an Arrow column of texts, and back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mergeit_ops.core.vectors import decode_joined, decode_vectors, encode_joined, encode_vectors

_LARGEST_TEXT = 2**31 - 1  # bytes that 32-bit offsets reach


def column_vectors(column: pa.ChunkedArray, first_row: int = 0) -> NDArray[np.float32]:
    """Return the matrix that a column of texts holds.

    :param column: n texts.
    :param first_row: number of the first one, for the message.
    :return: (n, d) float32.
    :raises ValueError: as `decode_vectors`.
    """
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


def vectors_column(vectors: NDArray[np.float32]) -> pa.ChunkedArray:
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
        chunks.append(pa.StringArray.from_buffers(len(block), pa.py_buffer(offsets), pa.py_buffer(joined)))
    return pa.chunked_array(chunks, pa.string())


def _decode_joined(chunk: pa.Array, first_row: int) -> NDArray[np.float32] | None:
    wide = pa.types.is_large_string(chunk.type)
    if chunk.null_count or not (wide or pa.types.is_string(chunk.type)):
        return None
    _, offsets_buffer, data = chunk.buffers()
    size = 8 if wide else 4
    offsets = np.frombuffer(offsets_buffer, np.int64 if wide else np.int32, len(chunk) + 1, chunk.offset * size)
    lengths = np.diff(offsets)
    if data is None or (lengths != lengths[0]).any():
        return None
    return decode_joined(memoryview(data)[int(offsets[0]) : int(offsets[-1])], len(chunk), first_row)
