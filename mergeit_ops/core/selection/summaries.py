"""Sums of the vectors of rows that stand for the rows themselves, for a choice among rows that parts have chosen.

A group of rows has the sum u of its vectors. If all of them are nearest to the same chosen row j, then their cosines to
j add up to u . j, whatever the rows are. So a choice is judged by all rows of a dataset with few vectors, and the only
error comes from groups whose rows are nearest to different choices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import inner_products

__all__ = ["Summaries", "nearest"]

_BLOCK_ENTRIES = 2**24


@dataclass(frozen=True, eq=False)
class Summaries:
    """Groups of rows.

    :param sums: (g, d) float32: the sum of the unit vectors of each group.
    :param rows: (g,) int64: number of rows of each group.
    """

    sums: NDArray[np.float32]
    rows: NDArray[np.int64]

    @classmethod
    def of_rows(cls, vectors: NDArray[np.float32]) -> Summaries:
        """Return groups of one row each.

        :param vectors: (n, d) float32 of unit norm.
        """
        return cls(vectors, np.ones(len(vectors), dtype=np.int64))

    def of(self, groups: NDArray[np.int64]) -> Summaries:
        """Return some of the groups.

        :param groups: their positions.
        """
        return Summaries(self.sums[groups], self.rows[groups])

    def around(self, heads: NDArray[np.float32]) -> Summaries:
        """Join each group to the nearest of some rows.

        :param heads: (k, d) float32 of unit norm, k >= 1.
        :return: k groups.
        """
        from scipy.sparse import csr_array

        labels, each = nearest(self.sums, heads), np.arange(len(self.sums))
        members = csr_array((np.ones(len(labels), np.float32), (labels, each)), shape=(len(heads), len(labels)))
        rows = np.bincount(labels, self.rows, len(heads))
        return Summaries(np.asarray(members @ self.sums, dtype=np.float32), rows.astype(np.int64))

    @property
    def directions(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return (g, d) unit vectors, zero for a sum of zero, and the (g,) norms of the sums."""
        norms: NDArray[np.float32] = np.sqrt(np.einsum("ij,ij->i", self.sums, self.sums))
        return self.sums / np.where(norms > 0, norms, 1).astype(np.float32)[:, None], norms


def nearest(vectors: NDArray[np.float32], heads: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the position of the head with the highest inner product with each vector; of equal ones, the first.

    :param vectors: (n, d) float32.
    :param heads: (k, d) float32, k >= 1.
    """
    block = max(1, _BLOCK_ENTRIES // len(heads))
    parts = [inner_products(vectors[at : at + block], heads).argmax(axis=1) for at in range(0, len(vectors), block)]
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, dtype=np.int64)
