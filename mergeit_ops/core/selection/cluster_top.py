"""The best rows of all, and the best of each topic (CaR, cluster and rank, https://arxiv.org/abs/2402.18191)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.selection.method import Need, Pool, Selection, SelectionMethod


@dataclass(frozen=True)
class ClusterTop(SelectionMethod):
    """The best rows of each topic, filled up to the budget with the best of all rows.

    The paper's n1 best rows of all and n2 of each topic correspond to a budget of the size of their union.

    :param best_per_topic: rows of each topic, n2; 1 in the paper.
    :param topic_key: the field that holds the topic of each row.
    """

    best_per_topic: int = 1
    topic_key: str = "topic_id"

    selected: ClassVar[str] = "the best of all and of each topic"
    whole_only: ClassVar[bool] = True

    @property
    def needs(self) -> frozenset[Need]:
        """See `SelectionMethod`."""
        return frozenset({"scores", "topics"})

    def select(self, pool: Pool, budget: int) -> Selection:
        """Choose rows; their gains are their scores."""
        chosen = cluster_top(pool.scores, pool.topics, budget, self.best_per_topic)
        return Selection(chosen, pool.scores[chosen])


def cluster_top(
    scores: NDArray[np.float64], topics: NDArray[np.int64], budget: int, best_per_topic: int = 1
) -> NDArray[np.int64]:
    """Choose the best rows of each topic, and then the best of the others.

    :param scores: (n,) score of each row.
    :param topics: (n,) topic of each row; -1: none.
    :param budget: rows to choose. If the rows of the topics exceed it, the best row of each topic comes before the
        second best of any, and among these the higher score comes first.
    :param best_per_topic: rows that are always chosen from each topic.
    :return: (budget,) positions. The best of each topic come first, by score, then the second best, and finally all
        others by score. Ties are ordered by position.
    """
    ranks = np.where(topics < 0, best_per_topic, np.minimum(_ranks_within(scores, topics), best_per_topic))
    return np.lexsort((-scores, ranks))[:budget].astype(np.int64)


def _ranks_within(scores: NDArray[np.float64], topics: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rank of each row in its topic by score, from 0."""
    order = np.lexsort((-scores, topics))
    starts = np.flatnonzero(np.diff(topics[order], prepend=topics[order[:1]] - 1))
    ranks = np.empty(len(scores), dtype=np.int64)
    ranks[order] = np.arange(len(scores)) - np.repeat(starts, np.diff([*starts, len(scores)]))
    return ranks
