"""Embeddings as text, the form in which they travel with the samples.

A list of floats per sample is slow, because Data-Juicer wraps every element; raw bytes break a JSONL export.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_WIRE_DTYPE = np.dtype("<f4")
_NORM_TOLERANCE = 1e-2  # half-precision embeddings brought along are within this


def encode_vectors(vectors: NDArray[np.float32]) -> list[str]:
    """Return each row of a matrix as base64 of little-endian float32.

    :param vectors: (n, d) float32.
    :return: n texts of 4 * ceil(4 * d / 3) characters.
    """
    return [base64.b64encode(row.tobytes()).decode("ascii") for row in np.ascontiguousarray(vectors, _WIRE_DTYPE)]


def decode_vectors(texts: Sequence[str | None], first_row: int = 0) -> NDArray[np.float32]:
    """Return the matrix that `encode_vectors` wrote.

    :param texts: n texts, all of one width.
    :param first_row: number of the first one, for the message.
    :return: (n, d) float32.
    :raises ValueError: naming the first row that is missing, is not base64, is not of the first row's width, or is
        not of unit norm.
    """
    if not texts:
        return np.zeros((0, 0), dtype=np.float32)
    rows = [_decode_one(text, number) for number, text in enumerate(texts, first_row)]
    width = len(rows[0])
    for number, row in enumerate(rows, first_row):
        if len(row) != width or width == 0:
            raise ValueError(f"row {number} has an embedding of width {len(row)}, the first row one of {width}")
    vectors = np.stack(rows).astype(np.float32, copy=False)
    norms = np.linalg.norm(vectors, axis=1)
    bad = np.flatnonzero(~(np.abs(norms - 1.0) <= _NORM_TOLERANCE))
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
