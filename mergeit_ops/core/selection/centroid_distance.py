"""Rows far from the centre of their topic: the K-means baseline of the MergeIT paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.selection.method import Pool, Selection, SelectionMethod

_BLOCK_ROWS = 4_096  # a copy in float64 of all rows would take twice the memory of the vectors


def farthest_rows(vectors: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Choose the rows farthest from the mean of all rows.

    If K-means was fitted on all rows without PCA, this mean is its centroid.

    :param vectors: (n, d) float32, the rows of one topic.
    :param count: rows to choose, <= n.
    :return: (count,) positions, the farthest first, ties by position, and their Euclidean distances.
    """
    distances = np.zeros(len(vectors))
    if len(vectors):
        centre = vectors.mean(axis=0, dtype=np.float64)
        for start in range(0, len(vectors), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            distances[block] = np.linalg.norm(vectors[block] - centre, axis=1)
    order = np.argsort(-distances, kind="stable")[:count]
    return order.astype(np.int64), distances[order]


@dataclass(frozen=True)
class CentroidDistance(SelectionMethod):
    """The rows farthest from the mean of all rows."""

    selected: ClassVar[str] = "the farthest from the centres"

    def select(self, pool: Pool, budget: int) -> Selection:
        """Choose the farthest rows; see `farthest_rows`."""
        return Selection(*farthest_rows(pool.vectors, budget))
