"""Cells of similar rows, which do not depend on the order of the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.topics.clustering import TopicModel, default_fit_sample_size, fit_topics

__all__ = ["Cells", "find_cells", "sample_by_content"]

_BLOCK_ROWS = 8_192
_SPLITS = 3
_ODD = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio: its multiples spread over all bits


@dataclass(frozen=True)
class Cells:
    """Rows in cells.

    :param labels: (n,) cell of each row, from 0.
    :param model: the model that has assigned the rows; None if a cell was divided further, or there are no rows.
    """

    labels: NDArray[np.int64]
    model: TopicModel | None

    def rows(self) -> list[NDArray[np.int64]]:
        """Return the positions of the rows of each non-empty cell, ascending."""
        order = np.argsort(self.labels, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(self.labels[order])) + 1) if len(order) else []


def find_cells(
    vectors: NDArray[np.float32],
    count: int,
    pca_variance: float | None = 0.95,
    seed: int = 42,
    most_rows: int | None = None,
) -> Cells:
    """Divide rows into cells by K-means, which is fitted to a sample if there are many rows.

    :param vectors: (n, d) float32.
    :param count: number of cells; lowered to the number of distinct rows.
    :param pca_variance: see `fit_topics`.
    :param seed: seed of K-means.
    :param most_rows: a cell of more rows is divided further, unless all its rows are the same; None: never.
    """
    if not len(vectors):
        return Cells(np.zeros(0, dtype=np.int64), None)
    sample = sample_by_content(vectors, default_fit_sample_size(count))
    model = fit_topics(vectors[sample], min(count, len(vectors)), pca_variance, seed)
    labels = model.assign(vectors)
    if most_rows is None or np.bincount(labels).max() <= most_rows:
        return Cells(labels, model)
    for _ in range(_SPLITS):
        sizes = np.bincount(labels)
        for cell in np.flatnonzero(sizes > most_rows):
            rows = np.flatnonzero(labels == cell)
            parts = find_cells(vectors[rows], -(-2 * len(rows) // most_rows), pca_variance, seed).labels
            labels[rows] = np.where(parts == 0, cell, labels.max() + parts)
    return Cells(labels, None)


def sample_by_content(vectors: NDArray[np.float32], size: int) -> NDArray[np.int64]:
    """Choose rows uniformly by their content, so that the order of the rows does not matter.

    :param vectors: (n, d) float32.
    :param size: number of rows.
    :return: min(n, size) positions, ordered by the hash of their rows.
    """
    factors = (np.arange(1, vectors.shape[1] + 1, dtype=np.uint64) * np.uint64(_ODD)) | np.uint64(1)
    hashes = np.empty(len(vectors), dtype=np.uint64)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        # Adding 0 makes minus zero equal to zero.
        bits = (np.ascontiguousarray(vectors[start : start + _BLOCK_ROWS]) + np.float32(0)).view(np.uint32)
        mixed = (bits.astype(np.uint64) + np.uint64(1)) * factors
        mixed ^= mixed >> np.uint64(29)
        hashes[start : start + len(bits)] = mixed.sum(axis=1, dtype=np.uint64) * np.uint64(_ODD)
    return np.argsort(hashes, kind="stable")[:size].astype(np.int64)
