"""The measures of a set with fewer rows, because some measures rise with the number of rows, whatever the rows are.

This is the exact mean over all subsets of one size, without drawing any (Hurlbert, The Nonconcept of Species Diversity,
Ecology 52, 1971; there for species in samples of animals).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["redundancy_of_subsets", "topics_of_subsets"]


def redundancy_of_subsets(twins: NDArray[np.int64], size: int) -> float:
    """Return the mean redundancy of all subsets of a size.

    A row is redundant in a subset if at least one of its twins is in it.

    :param twins: (n,) number of other rows that nearly repeat each row, n >= 1.
    :param size: rows of a subset, 1 <= size <= n.
    """
    n = len(twins)
    return float(np.mean(1 - _share_without(n - 1, twins, size - 1)))


def topics_of_subsets(counts: NDArray[np.int64], size: int) -> float:
    """Return the mean number of topics that subsets of a size reach.

    :param counts: rows of each topic; their sum is n.
    :param size: rows of a subset, 1 <= size <= n.
    """
    return float(np.sum(1 - _share_without(int(counts.sum()), counts, size)))


def _share_without(n: int, marked: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """Return, for each number of marked rows, the share of subsets of n rows without any marked row."""
    distinct, which = np.unique(marked, return_inverse=True)
    shares = [math.exp(_log_choose(n - k, size) - _log_choose(n, size)) if size <= n - k else 0.0 for k in distinct]
    return np.array(shares)[which]


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
