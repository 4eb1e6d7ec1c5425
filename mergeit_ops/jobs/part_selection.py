"""Select from a flat dataset whose vectors lie in the tasks of a cluster: in each partition, then among the chosen.

This is the distributed greedy algorithm of Mirzasoleiman et al. (GreeDi, arXiv 1411.0541) with two changes. The chosen
of many partitions are divided again until one task can hold them, and the groups of rows that they stand for go along
(`Summaries`), so the last choice is judged by all rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from mergeit_ops.core.selection.budget import Budget
from mergeit_ops.core.selection.selection import Selection
from mergeit_ops.core.selection.summaries import Summaries
from mergeit_ops.jobs.choice import Choice
from mergeit_ops.jobs.part_distances import choose_farthest
from mergeit_ops.jobs.parts import Part, Parts
from mergeit_ops.jobs.row_facts import RowFacts
from mergeit_ops.jobs.selection import Candidates, SelectionJob

__all__ = ["Rounds", "select_from_parts"]

_LEAST_OFFERED = 1_000
"""Fewest rows that a partition offers. The best few rows of all are seldom the best few of a partition."""

_MOST_LEFT = 0.75
"""Largest share of its rows that a round leaves. If this is less than twice the budget, there is no such round."""


@dataclass(frozen=True)
class Rounds:
    """How many rows the partitions of each round hold and offer.

    :param most: rows that a partition may hold.
    :param budget: rows to choose in the end.
    """

    most: int
    budget: int

    def partitions(self, rows: int) -> int:
        """Return the number of partitions.

        :param rows: rows to divide.
        """
        return max(1, math.ceil(rows / self.most))

    def offered(self, rows: int, partitions: int) -> int | None:
        """Return how many rows the partitions offer together; None if they choose in the end.

        :param rows: rows in all partitions.
        :param partitions: number of partitions.
        """
        most = math.floor(_MOST_LEFT * rows)
        if partitions == 1 or most < 2 * self.budget:
            return None
        # A partition that holds all the good rows can offer them.
        each = min(max(2 * self.budget, _LEAST_OFFERED), self.most // 2)
        return min(max(2 * self.budget, partitions * each), most)


@dataclass(frozen=True)
class _Size:
    """The rows of a part that may be chosen.

    :param rows: their number.
    :param amount: their number, or their tokens if the budget counts tokens.
    :param chosen: the same of the rows chosen already.
    """

    rows: int
    amount: int
    chosen: int


def select_from_parts(
    parts: Parts, job: SelectionJob, facts: RowFacts
) -> tuple[NDArray[np.int64], Choice, dict[str, Any]]:
    """Return the rows of a flat dataset to keep; see `SelectionJob.from_all`.

    :param parts: all rows.
    :param job: the selection.
    :param facts: facts about all rows besides their vectors.
    :return: positions, ascending; the choice; and figures for the record.
    :raises DatasetError: if more rows are chosen already than the budget.
    """
    # Each part's vectors say which of its rows can be read.
    facts = replace(facts, readable=None)
    sizes: list[_Size] = parts.tell(_size, job, facts)
    amount = sum(size.amount for size in sizes)
    budget = job.budget.of_flat(amount)
    if (before := sum(size.chosen for size in sizes)) > budget:
        job.refuse_chosen(before, amount, budget)
    chosen, figures = None, dict[str, Any]()
    if budget < amount:
        job = replace(job, budget=Budget(total=budget), kept_share=budget / amount)
        if job.method.goes_farthest:
            chosen, figures = choose_farthest(parts, job, facts)
        else:
            chosen, figures = _choose(parts, job, facts, sizes)
    told: list[tuple[NDArray[np.int64], Choice]] = parts.tell(_outcome, job, facts, chosen)
    positions = np.sort(np.concatenate([rows for rows, _ in told]))
    return positions, sum((choice for _, choice in told), Choice()), figures


def _choose(
    parts: Parts, job: SelectionJob, facts: RowFacts, sizes: Sequence[_Size]
) -> tuple[NDArray[np.int64], dict[str, Any]]:
    """Return the positions of the chosen rows among all rows, ascending, and the rows left after each round."""
    most, total = job.method.most_rows, job.budget.total
    assert most is not None
    assert total is not None
    left = sum(size.rows for size in sizes)
    average = sum(size.amount for size in sizes) / left  # 1, or the tokens of a row
    rounds = Rounds(most, math.ceil(total / average))
    history: list[int] = []
    while offered := rounds.offered(left, len(sizes)):
        wider = replace(job, budget=Budget(total=math.ceil(offered * average)))
        shares = wider.split([(size.amount, size.chosen) for size in sizes])
        parts = parts.divided(_offered, rounds.partitions(offered), job, facts, each=shares)
        sizes = parts.tell(_size, job, facts)
        left = sum(size.rows for size in sizes)
        history.append(left)
    if len(sizes) > 1:
        logger.warning(
            f"{job.reader.operator}: {len(sizes):,} partitions choose their shares of {rounds.budget:,} samples, "
            f"because {left:,} samples are left, too many for one task and too few for another round. Samples that are "
            "alike may be chosen in different partitions, and the objective may be several percent lower than that of "
            "a choice from all samples at once. Raise partition_rows, or put topic_cluster_grouper before."
        )
    shares = job.split([(size.amount, size.chosen) for size in sizes])
    return np.sort(np.concatenate(parts.tell(_chosen, job, facts, each=shares))), {"offered": history}


def _size(part: Part, job: SelectionJob, facts: RowFacts) -> _Size:
    found = Candidates.of_part(job, part, facts)
    return _Size(len(found.rows), found.amount, found.chosen_amount)


def _offered(part: Part, job: SelectionJob, facts: RowFacts, share: int) -> Part:
    """Return the rows that a part offers, with the groups of rows that they stand for."""
    found = Candidates.of_part(job, part, facts)
    rows = np.sort(found.ordered(share).indices)
    if not len(rows):
        return part.of(rows, Summaries(part.vectors[rows], np.zeros(0, dtype=np.int64)))
    groups = part.summaries or Summaries.of_rows(part.vectors)
    return part.of(rows, groups.of(found.rows).around(part.vectors[rows]))


def _chosen(part: Part, job: SelectionJob, facts: RowFacts, share: int) -> NDArray[np.int64]:
    return part.rows[Candidates.of_part(job, part, facts).ordered(share).indices]


def _outcome(
    part: Part, job: SelectionJob, facts: RowFacts, chosen: NDArray[np.int64] | None
) -> tuple[NDArray[np.int64], Choice]:
    """Return the rows of a part that stay, and the choice among its rows.

    :param chosen: positions of the chosen rows of all parts among all rows; None: all that may be chosen.
    """
    found = Candidates.of_part(job, part, facts)
    own = found.rows if chosen is None else np.flatnonzero(np.isin(part.rows, chosen))
    positions, told = found.outcome(Selection.of_all(own))
    return part.rows[positions], told
