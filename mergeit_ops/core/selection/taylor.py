"""Budgets of topics by their contribution to the mixture of topics (SMART, arXiv 2403.08370).

A greedy graph cut orders the topics by the mean vectors of their rows. A topic with the gain g has the weight 1 + g +
g^2 / 2, the second-order expansion of exp(g), which is positive for every g.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.selection.budget import equal_budgets

__all__ = ["graph_cut", "taylor_budgets"]

_REDUNDANCY = 0.4
"""Weight of the similarity among chosen topics, relative to their similarity to all topics; SMART's value."""


def graph_cut(centres: NDArray[np.float64], redundancy: float = _REDUNDANCY) -> tuple[list[int], NDArray[np.float64]]:
    """Put topics in the greedy order of the graph cut: the sum of s(i, j) over all i and chosen j, minus `redundancy`
    times the sum over pairs of chosen topics.

    :param centres: (c, d) of unit norm; zero for topics without rows.
    :param redundancy: lambda of the graph cut.
    :return: the topics in order, and the gain of each in that order. Equal gains go to the earlier topic.
    """
    kernel = centres @ centres.T
    gains = kernel.sum(axis=0) - redundancy * np.diagonal(kernel)
    order: list[int] = []
    found = np.empty(len(centres))
    for step in range(len(centres)):
        best = int(gains.argmax())
        order.append(best)
        found[step] = gains[best]
        gains -= 2 * redundancy * kernel[best]
        gains[best] = -np.inf
    return order, found


def taylor_budgets(gains: Sequence[float] | NDArray[np.float64], sizes: Sequence[int], total: int) -> NDArray[np.int64]:
    """Split a total over topics in proportion to 1 + g + g^2 / 2.

    :param gains: gains of the topics, in the order in which they were chosen.
    :param sizes: rows of each topic, in the same order.
    :param total: rows to keep over all topics; all rows if there are fewer.
    :return: budgets that sum to min(total, sum of sizes), none above its topic's size. The remainder of rounding goes
        to the first topics. What small topics cannot use is split over the others in equal parts.
    """
    rows = np.asarray(sizes, dtype=np.int64)
    weights = 1 + np.asarray(gains, dtype=np.float64) + np.asarray(gains, dtype=np.float64) ** 2 / 2
    weights[rows == 0] = 0
    total = min(total, int(rows.sum()))
    if not total:
        return np.zeros(len(rows), dtype=np.int64)
    budgets = np.floor(total * weights / weights.sum()).astype(np.int64)
    budgets[np.flatnonzero(weights)[: total - int(budgets.sum())]] += 1
    budgets = np.minimum(budgets, rows)
    return budgets + equal_budgets((rows - budgets).tolist(), total - int(budgets.sum()))
