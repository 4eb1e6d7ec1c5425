"""NovelSum: how far the rows of a set are from each other; near rows count more, and so do rows in dense regions.

Yang et al., "Measuring Data Diversity for Instruction Tuning" (arXiv 2502.17184). As in the released code, a row's
distances are weighted by its own density (the paper uses the density of the other row), and a row is its own nearest
neighbour.
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
    """Return the weight of each row: a power of the density around it, which is high if rows of the reference are near.

    :param vectors: (m, d) float32 of unit norm.
    :param reference: (n, d) float32 of unit norm. The nearest row is left out, so a row of the reference is its own
        neighbour only if it is there twice.
    :param neighbours: number of nearest rows of the reference for the density, which is 1 over the mean squared
        distance to them; 10 as in the released code.
    :param power: exponent of the density; 0.5 as in the released code.
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
    """Return NovelSum: the mean over rows of the weighted mean distance 1 - cosine to all rows, with the weights 1 /
    rank.

    :param vectors: (n, d) float32 of unit norm, n >= 1. For more than 2,000 rows, the mean is that of a sample.
    :param weights: (n,) weights, see `density_weights`; None: 1 each.
    :param seed: seed of the sample.
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
