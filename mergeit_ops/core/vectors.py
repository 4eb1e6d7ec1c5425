"""Embeddings as text, the form in which samples store them.

A row without a readable text has the zero vector, which is similar to no other row.

A list of floats per sample is slow, because Data-Juicer wraps every element; raw bytes break a JSONL export.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_WIRE_DTYPE = np.dtype("<f4")
_NORM_TOLERANCE = 1e-2  # half-precision embeddings of users are within this


def encode_vectors(vectors: NDArray[np.float32]) -> list[str]:
    """Return each row of a matrix as base64 of little-endian float32.

    :param vectors: (n, d) float32.
    :return: n texts of 4 * ceil(4 * d / 3) characters.
    """
    return [base64.b64encode(row.tobytes()).decode("ascii") for row in np.ascontiguousarray(vectors, _WIRE_DTYPE)]


def decode_vectors(texts: Sequence[str | None], first_row: int = 0) -> NDArray[np.float32]:
    """Return the matrix that `encode_vectors` wrote.

    :param texts: n texts, all with the same width.
    :param first_row: number of the first row, for the message.
    :return: (n, d) float32.
    :raises ValueError: if a row is missing, is not base64, has another width than the first row, or is neither of unit
        norm nor zero. The message names the first such row.
    """
    if not texts:
        return np.zeros((0, 0), dtype=np.float32)
    rows = [_decode_one(text, number) for number, text in enumerate(texts, first_row)]
    width = len(rows[0])
    for number, row in enumerate(rows, first_row):
        if len(row) != width or width == 0:
            raise ValueError(
                f"row {number} has an embedding of width {len(row)}, but the first row has one of width {width}"
            )
    return checked(np.stack(rows).astype(np.float32, copy=False), first_row)


def decode_joined(texts: bytes | memoryview, count: int, first_row: int = 0) -> NDArray[np.float32] | None:
    """Return the matrix of concatenated texts, in one pass.

    :param texts: `count` texts of the same length.
    :param count: number of texts, >= 1.
    :param first_row: number of the first row, for the message.
    :return: (count, d) float32; None if they cannot be read in this way. `decode_vectors` then reads them or says what
        is wrong.
    :raises ValueError: if a row is neither of unit norm nor zero. The message names the first such row.
    """
    length, rest = divmod(len(texts), count)
    # Texts have no padding only if each encodes whole bytes and whole floats.
    if rest or length == 0 or length % 16:
        return None
    try:
        raw = base64.b64decode(texts, validate=True)
    except ValueError:
        return None
    if len(raw) * 4 != len(texts) * 3:
        return None
    vectors = np.frombuffer(raw, dtype=_WIRE_DTYPE).reshape(count, length * 3 // 16)
    return checked(vectors.astype(np.float32, copy=False), first_row)


def has_text(vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which rows have a text to embed; the others have the zero vector.

    :param vectors: (n, d) float32.
    :return: (n,) bool.
    """
    return np.asarray(vectors.any(axis=1))


def encode_joined(vectors: NDArray[np.float32]) -> bytes | None:
    """Return the texts of `encode_vectors` as one text, for texts of equal length without padding.

    :param vectors: (n, d) float32.
    :return: n texts of 16 * d / 3 characters; None if d is not a multiple of three, because the texts are padded then.
    """
    if vectors.shape[1] % 3:
        return None
    return base64.b64encode(np.ascontiguousarray(vectors, _WIRE_DTYPE).tobytes())


def checked(vectors: NDArray[np.float32], first_row: int = 0) -> NDArray[np.float32]:
    """Check that the norms of vectors are one, or zero for rows without a text, and return the vectors.

    :param vectors: (n, d) float32.
    :param first_row: number of the first row, for the message.
    :raises ValueError: if a row has another norm. The message names the first such row.
    """
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    # A row without a text has a zero vector.
    bad = np.flatnonzero(~((np.abs(norms - 1.0) <= _NORM_TOLERANCE) | (norms == 0)))
    if len(bad):
        raise ValueError(f"row {first_row + bad[0]} has an embedding of norm {norms[bad[0]]:.4f}, expected 1")
    return vectors


def _decode_one(text: str | None, number: int) -> NDArray[np.float32]:
    if not isinstance(text, str):
        what = "no embedding" if text is None else f"a {type(text).__name__} for an embedding, not base64 text"
        raise ValueError(f"row {number} has {what}")
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), dtype=_WIRE_DTYPE)
    except ValueError as error:
        raise ValueError(f"row {number} has an embedding that is not base64 of float32 ({error})") from error
