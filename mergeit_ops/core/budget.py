"""How many rows each topic may keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Allocation = Literal["proportional", "equal", "gain"]
ALLOCATIONS: tuple[Allocation, ...] = ("proportional", "equal", "gain")


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


def equal_budgets(sizes: Sequence[int], total: int) -> NDArray[np.int64]:
    """Split a total over topics in equal parts.

    What a small topic cannot use is split over the others in the same way, until the total is met.

    :param sizes: rows per topic.
    :param total: rows to keep over all topics; more than there are means all of them.
    :return: budgets that sum to min(total, sum of sizes), none above its topic's size. Of two topics that are not kept
        whole the earlier one has at most one row more.
    """
    rows = np.asarray(sizes, dtype=np.int64)
    budgets = np.zeros(len(rows), dtype=np.int64)
    left = min(total, int(rows.sum()))
    while left:
        open_topics = np.flatnonzero(budgets < rows)
        share = left // len(open_topics)
        if not share:
            budgets[open_topics[:left]] += 1
            break
        added = np.minimum(share, rows[open_topics] - budgets[open_topics])
        budgets[open_topics] += added
        left -= int(added.sum())
    return budgets


FIXED_BUDGETS: Mapping[str, Callable[[Sequence[int], int], NDArray[np.int64]]] = {
    "proportional": proportional_budgets,
    "equal": equal_budgets,
}
"""Ways to split a total that need the sizes of the topics alone, by name."""


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
