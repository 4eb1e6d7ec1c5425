"""How many rows each topic may keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Allocation = Literal["proportional", "gain"]
ALLOCATIONS: tuple[Allocation, ...] = ("proportional", "gain")


def ratio_budget(size: int, ratio: float) -> int:
    """Return max(1, round(ratio * size)), never more than the topic has.

    :param size: rows in the topic.
    :param ratio: share to keep, in (0, 1].
    """
    return min(size, max(1, round(ratio * size))) if size else 0


def proportional_budgets(sizes: Sequence[int], total: int) -> NDArray[np.int64]:
    """Split a total over topics in proportion to their sizes, by largest remainder.

    :param sizes: rows per topic.
    :param total: rows to keep over all topics; more than there are means all of them.
    :return: budgets that sum to min(total, sum of sizes), none above its topic's size. Equal remainders go to the
        earlier topic.
    """
    rows = np.asarray(sizes, dtype=np.int64)
    available = int(rows.sum())
    total = min(total, available)
    if available == 0:
        return np.zeros(len(rows), dtype=np.int64)
    # Integers throughout, so that a remainder is never decided by rounding.
    scaled = rows * total
    budgets = scaled // available
    remainders = scaled % available
    missing = total - int(budgets.sum())
    budgets[np.argsort(-remainders, kind="stable")[:missing]] += 1
    return budgets


def gain_budgets(gains: Sequence[NDArray[np.float64]], total: int) -> NDArray[np.int64]:
    """Split a total over topics by marginal gain.

    Each topic offers its rows in greedy order. Gains within a topic never rise, so taking the highest gains overall is
    the greedy for the sum of all topics' objectives.

    :param gains: per topic, the marginal gains in greedy order.
    :param total: rows to keep over all topics.
    :return: budgets; equal gains go to the earlier topic.
    """
    budgets = np.zeros(len(gains), dtype=np.int64)
    if not gains:
        return budgets
    owner = np.concatenate([np.full(len(topic), number) for number, topic in enumerate(gains)])
    # Float noise can make a gain rise by an ulp; the running minimum keeps each topic's offers in its own order.
    offers = np.concatenate([np.minimum.accumulate(topic) for topic in gains])
    taken = owner[np.argsort(-offers, kind="stable")[:total]].astype(np.int64)
    return budgets + np.bincount(taken, minlength=len(gains))
