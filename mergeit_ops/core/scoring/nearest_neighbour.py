"""The nearest other row of each row, by the cosine of their vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import inner_products

__all__ = ["nearest_neighbours"]

_ENTRIES = 2**25  # cosines in memory at a time: 128 MB
_ROUNDING = 1e-5  # largest error of a cosine in float32


def nearest_neighbours(vectors: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the nearest other row of each row, and their cosine. Ties go to the lowest row.

    Every row is compared with every other. The neighbour of a row with copies is the first other copy.

    :param vectors: (n, d) float32 of unit norm. A zero vector has no neighbour and is no neighbour of other rows.
    :return: (n,) int64, -1 for no neighbour; (n,) float64, NaN for no neighbour.
    """
    neighbours = np.full(len(vectors), -1, dtype=np.int64)
    copies: dict[bytes, list[int]] = {}
    for row in np.flatnonzero(vectors.any(axis=1)).tolist():
        copies.setdefault(vectors[row].tobytes(), []).append(row)
    for first, *others in copies.values():
        if others:
            neighbours[first] = others[0]
            neighbours[others] = first
    # Copies are compared only once, because it depends on the processor whether their products agree to the last bit.
    firsts = np.array([rows[0] for rows in copies.values()], dtype=np.int64)
    alone = np.flatnonzero(neighbours[firsts] < 0)
    if len(firsts) > 1:
        distinct = vectors if len(firsts) == len(vectors) else vectors[firsts]
        step = max(1, _ENTRIES // len(firsts))
        for start in range(0, len(alone), step):
            block = alone[start : start + step]
            cosines = inner_products(distinct[block], distinct)
            cosines[np.arange(len(block)), block] = -np.inf
            best = cosines.max(axis=1)
            for row, found, highest in zip(block.tolist(), cosines, best, strict=True):
                near = np.flatnonzero(found >= highest - _ROUNDING)
                exact = _cosines(distinct[near], distinct[row])
                neighbours[firsts[row]] = firsts[near[exact.argmax()]]
    similarities = np.full(len(vectors), np.nan)
    for row in np.flatnonzero(neighbours >= 0).tolist():
        similarities[row] = _cosines(vectors[neighbours[row]][None], vectors[row])[0]
    return neighbours, similarities


def _cosines(candidates: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the products in float64, each summed in the same order."""
    return (candidates.astype(np.float64) * vector.astype(np.float64)).sum(axis=1)
