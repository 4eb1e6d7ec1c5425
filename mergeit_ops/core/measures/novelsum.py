"""NovelSum: how far the rows of a set are from each other; near ones count more, and so do rows in dense regions.

Yang et al., "Measuring Data Diversity for Instruction Tuning" (arXiv 2502.17184). As in the released code, a row's own
density weighs its distances (the paper weighs by that of the other row), and a row is its own nearest neighbour.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import inner_products

__all__ = ["density_weights", "novelsum"]

_BLOCK_ENTRIES = 2**24
_SMALLEST = 1e-9
_MOST_ROWS = 2_000


def density_weights(
    vectors: NDArray[np.float32], reference: NDArray[np.float32], neighbours: int = 10, power: float = 0.5
) -> NDArray[np.float64]:
    """Return the weight of each row: the density around it to a power, high where rows of the reference are near.

    :param vectors: (m, d) float32 of unit norm.
    :param reference: (n, d) float32 of unit norm; a row that is in it counts as one of its own neighbours only if it is
        there twice, for the nearest row is left out.
    :param neighbours: rows of the reference that make the density: 1 over the mean of the squared distances to them. 10
        as in the released code.
    :param power: of the density; 0.5 as in the released code.
    """
    count = min(neighbours, len(reference) - 1)
    if count < 1:
        return np.ones(len(vectors))
    weights = np.empty(len(vectors))
    block = max(1, _BLOCK_ENTRIES // len(reference))
    for start in range(0, len(vectors), block):
        cosines = inner_products(vectors[start : start + block], reference)
        nearest = -np.partition(-cosines, count, axis=1)[:, : count + 1]
        squares = np.maximum(2 - 2 * np.sort(nearest, axis=1)[:, :count].astype(np.float64), 0)
        weights[start : start + block] = (squares.mean(axis=1) + _SMALLEST) ** -power
    return weights


def novelsum(vectors: NDArray[np.float32], weights: NDArray[np.float64] | None = None, seed: int = 42) -> float:
    """Return NovelSum: the mean over rows of their weighted mean distance 1 - cosine to all rows, weights 1 over rank.

    :param vectors: (n, d) float32 of unit norm, n >= 1. The mean of more than 2,000 rows is that of a sample.
    :param weights: (n,) see `density_weights`; None: 1 each.
    :param seed: of the sample.
    :return: at least 0; 0 for a single row.
    :raises ValueError: if there is no row.
    """
    n = len(vectors)
    if not n:
        raise ValueError("NovelSum needs at least one row.")
    rows = (
        np.arange(n) if n <= _MOST_ROWS else np.sort(np.random.default_rng(seed).choice(n, _MOST_ROWS, replace=False))
    )
    ranks = 1 / np.arange(1, n + 1)
    own = np.ones(n) if weights is None else weights
    total = 0.0
    block = max(1, _BLOCK_ENTRIES // n)
    for start in range(0, len(rows), block):
        some = rows[start : start + block]
        distances = np.maximum(1 - inner_products(vectors[some], vectors), 0)
        distances[np.arange(len(some)), some] = 0
        distances.sort(axis=1)
        total += float((own[some] * (distances @ ranks)).sum())
    return total / (len(rows) * float(ranks.sum()))
