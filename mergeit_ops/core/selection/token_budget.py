"""Choose rows whose tokens fit into a budget, in the order of a method that counts rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.selection.selection import Selection

__all__ = ["fitting", "select_within"]

_SPARE = 1.2  # chosen rows may be shorter than the average


def fitting(costs: NDArray[np.int64], tokens: int) -> NDArray[np.int64]:
    """Return which rows fit into a budget if they are taken in order and rows that no longer fit are skipped.

    :param costs: (k,) tokens of each row, in the order in which they are wanted.
    :param tokens: most tokens of all together.
    :return: places in that order, ascending.
    """
    left = tokens
    places = []
    for place, cost in enumerate(costs.tolist()):
        if cost <= left:
            places.append(place)
            left -= cost
    return np.asarray(places, dtype=np.int64)


def select_within(
    select: Callable[[int], Selection], costs: NDArray[np.int64], tokens: int, nested: bool = True
) -> Selection:
    """Choose rows whose tokens fit into a budget.

    :param select: function that chooses a number of rows, best first.
    :param costs: (n,) tokens of each row.
    :param tokens: most tokens of the chosen rows together.
    :param nested: whether the selection of fewer rows is the beginning of the selection of more rows. If so, rows are
        taken in order, and rows that no longer fit are skipped, until less is left than the tokens of an average row.
        Otherwise the largest selection that fits is taken.
    """
    n = len(costs)
    if not nested:
        return _largest(select, costs, tokens)
    average = max(1.0, float(costs.mean()))
    count = min(n, math.ceil(_SPARE * tokens / average))
    while True:
        found = select(count)
        own = costs[found.indices]
        places = fitting(own, tokens)
        if len(found.indices) < count or count == n or tokens - own[places].sum() < average:
            return replace(found, indices=found.indices[places], gains=found.gains[places])
        count = min(n, 2 * count)


def _largest(select: Callable[[int], Selection], costs: NDArray[np.int64], tokens: int) -> Selection:
    best = Selection(np.zeros(0, np.int64), np.zeros(0))
    low, high = 0, len(costs)
    while low < high:
        middle = (low + high + 1) // 2
        found = select(middle)
        if costs[found.indices].sum() <= tokens:
            low, best = middle, found
        else:
            high = middle - 1
    return best
