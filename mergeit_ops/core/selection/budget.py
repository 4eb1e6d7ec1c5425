"""How many rows each topic may keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Allocation = Literal["proportional", "equal", "gain", "taylor"]
ALLOCATIONS: tuple[Allocation, ...] = ("proportional", "equal", "gain", "taylor")


def ratio_budget(size: int, ratio: float) -> int:
    """Return max(1, round(ratio * size)), never more than the topic has.

    :param size: rows in the topic.
    :param ratio: share to keep, in (0, 1].
    """
    return min(size, max(1, round(ratio * size))) if size else 0


def proportional_budgets(sizes: Sequence[int], total: int) -> NDArray[np.int64]:
    """Split a total over topics in proportion to their sizes, by largest remainder.

    :param sizes: rows per topic.
    :param total: rows to keep over all topics; all rows if there are fewer.
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

    What a small topic cannot use is split over the others in the same way, until the total is reached.

    :param sizes: rows per topic.
    :param total: rows to keep over all topics; all rows if there are fewer.
    :return: budgets that sum to min(total, sum of sizes), none above its topic's size. Of two topics that are not kept
        whole, the earlier one has at most one row more.
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
"""Ways to split a total that need only the sizes of the topics, by name."""


def gain_budgets(gains: Sequence[NDArray[np.float64]], total: int) -> NDArray[np.int64]:
    """Split a total over topics by marginal gain.

    Each topic offers its rows in greedy order. Gains within a topic never rise, so taking the highest gains overall is
    greedy for the sum of all topics' objectives.

    :param gains: the marginal gains of each topic in greedy order.
    :param total: rows to keep over all topics.
    :return: budgets; equal gains go to the earlier topic.
    """
    budgets = np.zeros(len(gains), dtype=np.int64)
    if not gains:
        return budgets
    owner = np.concatenate([np.full(len(topic), number) for number, topic in enumerate(gains)])
    # Float noise can make a gain rise by an ulp; the running minimum keeps the rows of a topic in order.
    offers = np.concatenate([np.minimum.accumulate(topic) for topic in gains])
    taken = owner[np.argsort(-offers, kind="stable")[:total]].astype(np.int64)
    return budgets + np.bincount(taken, minlength=len(gains))


@dataclass(frozen=True)
class Budget:
    """How many rows a recipe asks for. At most one of the first three is set.

    :param ratio: share of each topic, or of a flat dataset, in (0, 1].
    :param per_topic: rows to keep of each topic.
    :param total: rows to keep over all topics.
    :param allocation: how a total is split over topics: one of `ALLOCATIONS`.
    """

    ratio: float | None = None
    per_topic: int | None = None
    total: int | None = None
    allocation: Allocation = "proportional"

    @property
    def by_gain(self) -> bool:
        """Return whether the split depends on the gains in the topics."""
        return self.total is not None and self.allocation == "gain"

    @property
    def by_centres(self) -> bool:
        """Return whether the split depends on the mean vectors of the topics; see `taylor_budgets`."""
        return self.total is not None and self.allocation == "taylor"

    def of_flat(self, rows: int) -> int:
        """Return how many rows of a flat dataset are kept.

        :param rows: rows to choose from.
        """
        return self.split([rows])[0]

    def split(self, sizes: Sequence[int]) -> list[int]:
        """Return how many rows each topic keeps, if this depends only on the sizes.

        :param sizes: rows to choose from in each topic.
        """
        if self.per_topic is not None:
            return [min(size, self.per_topic) for size in sizes]
        if self.total is None:
            assert self.ratio is not None
            return [ratio_budget(size, self.ratio) for size in sizes]
        # In a flat dataset there is nothing to split, whatever the allocation.
        split = FIXED_BUDGETS.get(self.allocation, proportional_budgets)
        return [int(share) for share in split(sizes, self.total)]
