"""The distance from each row to its k-th nearest other row (InstructMining's KNN-i, arXiv 2307.06290)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import inner_products

__all__ = ["knn_distances"]

_ENTRIES = 2**25  # distances in memory at a time: 128 MB


def knn_distances(vectors: NDArray[np.float32], k: int) -> NDArray[np.float64]:
    """Return the Euclidean distance from each row to its k-th nearest other row.

    Every row is compared with every other. Copies of a row are other rows with distance 0.

    :param vectors: (n, d) float32.
    :param k: which neighbour, 1 <= k < n.
    :return: (n,) float64.
    """
    squares = np.einsum("ij,ij->i", vectors, vectors)
    distances = np.empty(len(vectors))
    step = max(1, _ENTRIES // len(vectors))
    for start in range(0, len(vectors), step):
        block = vectors[start : start + step]
        found = squares - 2 * inner_products(block, vectors)
        found[np.arange(len(block)), np.arange(start, start + len(block))] = np.inf
        nearest = np.argpartition(found, k - 1, axis=1)[:, :k]
        # The difference of two large squares is too imprecise for near neighbours.
        gaps = vectors[nearest].astype(np.float64) - block[:, None].astype(np.float64)
        distances[start : start + len(block)] = np.sqrt(np.einsum("ijk,ijk->ij", gaps, gaps)).max(axis=1)
    return distances
