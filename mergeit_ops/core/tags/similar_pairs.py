"""Pairs of tags with similar vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import inner_products

__all__ = ["MOST_TAGS", "similar_pairs"]

MOST_TAGS = 100_000
"""Most tags to compare; the time grows with their square."""

_BLOCK_ROWS = 1_024

_ROUNDING = 1e-6
"""The most that rounding to float32 can subtract from a cosine."""


def similar_pairs(
    vectors: NDArray[np.float32], similarity: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return the pairs of rows whose cosine is at least a threshold.

    :param vectors: (n, d) float32 of unit norm.
    :param similarity: the threshold. A cosine that is just below it because of rounding counts too.
    :return: first rows, second rows and cosines of m pairs. The first row is the lower one. Pairs are in ascending
        order.
    """
    firsts, seconds, cosines = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    for start in range(0, len(vectors), _BLOCK_ROWS):
        products = inner_products(vectors[start : start + _BLOCK_ROWS], vectors[start:])
        rows, others = np.nonzero(np.triu(products >= similarity - _ROUNDING, k=1))
        firsts.append(rows + start)
        seconds.append(others + start)
        cosines.append(products[rows, others])
    return np.concatenate(firsts), np.concatenate(seconds), np.minimum(np.concatenate(cosines), 1)
