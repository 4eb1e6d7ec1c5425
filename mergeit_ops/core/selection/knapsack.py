"""Greedy selection of rows whose costs must fit into a budget.

Greedy by gain per cost alone may be arbitrarily bad, and so may greedy by gain alone. The better of the two reaches at
least (1 - 1/e)/2 of the optimum (Leskovec et al. 2007, https://doi.org/10.1145/1281192.1281239).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.selection.selection import Selection

__all__ = ["better_greedy", "knapsack_greedy"]


def better_greedy(greedy: Callable[[bool], Selection]) -> Selection:
    """Return the better of two choices.

    :param greedy: function that chooses by gain per cost if its argument is true, and by gain otherwise.
    :return: the choice with the larger sum of gains; if they are equal, the first.
    """
    by_ratio, by_gain = greedy(True), greedy(False)
    return by_ratio if by_ratio.gains.sum() >= by_gain.gains.sum() else by_gain


def knapsack_greedy(
    similarities: NDArray[np.float32],
    costs: NDArray[np.int64],
    limit: int,
    bonus: NDArray[np.float64] | None = None,
    per_cost: bool = True,
) -> Selection:
    """Choose rows by lazy greedy until no other row fits.

    :param similarities: (m, n) similarities of the m rows that may be chosen to the n rows to cover.
    :param costs: (m,) cost of each row, at least 1.
    :param limit: most costs of the chosen rows together.
    :param bonus: (m,) what each row adds when it is chosen, at least 0; None: nothing.
    :param per_cost: whether rows are compared by gain per cost; otherwise by gain.
    :return: the choices, with their gains. Equal rows go to the lowest position.
    """
    covered = np.zeros(similarities.shape[1], dtype=np.float32)
    extra = np.zeros(len(similarities)) if bonus is None else bonus

    def gain(row: int) -> float:
        return float(np.maximum(similarities[row] - covered, 0).sum(dtype=np.float64)) + float(extra[row])

    def cover(row: int) -> None:
        np.maximum(covered, similarities[row], out=covered)

    bounds = np.array([np.maximum(row, 0).sum(dtype=np.float64) for row in similarities]) + extra
    return lazy_knapsack(bounds, costs, limit, gain, cover, per_cost)


def lazy_knapsack(
    bounds: NDArray[np.float64],
    costs: NDArray[np.int64],
    limit: int,
    gain: Callable[[int], float],
    take: Callable[[int], None],
    per_cost: bool,
    taken: NDArray[np.int64] | None = None,
) -> Selection:
    """Choose rows whose gains never rise. A gain is recomputed only while its bound may be the highest.

    :param bounds: (m,) upper bounds of the gains.
    :param costs: (m,) cost of each row, at least 1.
    :param limit: most costs of the chosen rows together.
    :param gain: function that returns the gain of a row, given the rows already taken.
    :param take: function that is called with each chosen row.
    :param per_cost: whether rows are compared by gain per cost; otherwise by gain.
    :param taken: rows that cannot be chosen.
    """
    price = costs.tolist() if per_cost else [1] * len(costs)
    own = costs.tolist()
    closed = set() if taken is None else set(taken.tolist())
    heap = [(-bound / price[row], row) for row, bound in enumerate(bounds.tolist()) if row not in closed]
    heapq.heapify(heap)
    fresh_at = [-1] * len(own)
    left = limit
    chosen: list[int] = []
    gains: list[float] = []
    while heap:
        bound, row = heap[0]
        if own[row] > left:
            heapq.heappop(heap)  # the remaining budget only falls
        elif fresh_at[row] == len(chosen):
            heapq.heappop(heap)
            chosen.append(row)
            gains.append(-bound * price[row])
            left -= own[row]
            take(row)
        else:
            fresh_at[row] = len(chosen)
            heapq.heapreplace(heap, (-gain(row) / price[row], row))
    return Selection(np.asarray(chosen, dtype=np.int64), np.asarray(gains, dtype=np.float64))
