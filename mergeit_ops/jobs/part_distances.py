"""Choose rows by k-center from parts: each part knows how far its rows are from the choices, and names the farthest.

The choices are those of one task with all vectors, up to ties and the last digits of a distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import squared_distances
from mergeit_ops.core.selection.highest import highest
from mergeit_ops.core.selection.k_center import CANDIDATES, approach, farthest_first, same_within
from mergeit_ops.core.selection.selection import Selection
from mergeit_ops.core.selection.starts import StartedMethod
from mergeit_ops.core.selection.token_budget import select_within
from mergeit_ops.jobs.parts import Part, Parts
from mergeit_ops.jobs.row_facts import RowFacts
from mergeit_ops.jobs.selection import Candidates, SelectionJob

__all__ = ["choose_farthest"]

_LEAST_CANDIDATES = 64


@dataclass(frozen=True, eq=False)
class _Told:
    """What a part tells about its rows that may be chosen.

    :param rows: (n,) their positions among all rows.
    :param total: (d,) sum of their vectors.
    :param norm: the largest squared norm.
    """

    rows: NDArray[np.int64]
    total: NDArray[np.float64]
    norm: float


@dataclass(frozen=True, eq=False)
class _Farthest:
    """The rows of a part that are farthest from the choices.

    :param rows: (c,) their positions among all rows.
    :param vectors: (c, d) their vectors.
    :param distances: (c,) squared distances to the nearest choice.
    :param others: the largest of the distances of the other rows; -1: there is none.
    """

    rows: NDArray[np.int64]
    vectors: NDArray[np.float32]
    distances: NDArray[np.float32]
    others: float


def choose_farthest(parts: Parts, job: SelectionJob, facts: RowFacts) -> tuple[NDArray[np.int64], dict[str, Any]]:
    """Return the positions of the chosen rows among all rows, ascending, and figures for the record.

    :param parts: all rows.
    :param job: the selection; its budget is a total.
    :param facts: facts about all rows besides their vectors.
    """
    told: list[_Told] = parts.tell(_told, job, facts)
    rows = np.sort(np.concatenate([part.rows for part in told]))
    first = _first_rows(parts, job, facts, told, rows)
    same = same_within(max(part.norm for part in told))
    rounds = 0

    def select(budget: int) -> Selection:
        nonlocal rounds
        chosen, gains = first.tolist(), [np.inf] * len(first)
        latest = _vectors_at(parts, first)
        states, _ = parts.evolved(_started, None, job, facts)
        count = min(CANDIDATES, max(_LEAST_CANDIDATES, 4 * CANDIDATES // len(told)))
        while len(chosen) < budget:
            rounds += 1
            states, reports = parts.evolved(_approached, states, latest, np.asarray(chosen[-len(latest) :]), count)
            found = _joined(reports)
            if found.distances.max(initial=-1) <= same:
                # The remaining rows are duplicates of choices.
                rest = np.setdiff1d(rows, chosen)[: budget - len(chosen)].tolist()
                chosen, gains = chosen + rest, gains + [0.0] * len(rest)
                break
            places, more = farthest_first(found.distances, found.vectors, budget - len(chosen), max(found.others, same))
            chosen, gains = chosen + found.rows[places].tolist(), gains + more
            latest = found.vectors[places]
        return Selection(np.searchsorted(rows, np.asarray(chosen, dtype=np.int64)), np.asarray(gains))

    total = job.budget.total
    assert total is not None
    if facts.tokens is None:
        selection = select(total)
    else:
        selection = select_within(select, facts.tokens[rows], total, job.method.nested)
    return np.sort(rows[selection.indices]), {"rounds": rounds}


def _first_rows(
    parts: Parts, job: SelectionJob, facts: RowFacts, told: Sequence[_Told], rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the positions of the first choices among all rows."""
    method = job.method
    assert isinstance(method, StartedMethod)
    marked = np.zeros(len(rows), bool) if facts.chosen is None else facts.chosen[rows]
    known = method.start_without_vectors(marked)
    if known is not None:
        return rows[known]
    mean = (np.sum([part.total for part in told], axis=0) / len(rows)).astype(np.float32)
    nearest: list[tuple[float, int]] = parts.tell(_nearest, mean)
    return np.asarray([min(nearest)[1]], dtype=np.int64)


def _vectors_at(parts: Parts, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the vectors of some rows, in their order."""
    found: list[Part] = parts.tell(_those_at, rows)
    there = Part.joined(found)
    order = np.argsort(there.rows)
    return there.vectors[order][np.searchsorted(there.rows[order], rows)]


def _joined(reports: Sequence[_Farthest]) -> _Farthest:
    """Return the farthest rows of all parts, in the order of the rows, so that ties go to the lowest one."""
    rows = np.concatenate([report.rows for report in reports])
    order = np.argsort(rows)
    return _Farthest(
        rows[order],
        np.concatenate([report.vectors for report in reports])[order],
        np.concatenate([report.distances for report in reports])[order],
        max(report.others for report in reports),
    )


def _told(part: Part, job: SelectionJob, facts: RowFacts) -> _Told:
    rows = Candidates.of_part(job, part, facts).rows
    vectors = part.vectors[rows]
    norms = np.einsum("ij,ij->i", vectors, vectors)
    return _Told(part.rows[rows], vectors.sum(axis=0, dtype=np.float64), float(norms.max(initial=0)))


def _nearest(part: Part, mean: NDArray[np.float32]) -> tuple[float, int]:
    distances = squared_distances(part.vectors, mean[None])[:, 0]
    # Rows that cannot be read have the zero vector.
    distances[~part.vectors.any(axis=1)] = np.inf
    least = distances.min(initial=np.inf)
    return float(least), int(part.rows[distances == least].min(initial=np.iinfo(np.int64).max))


def _those_at(part: Part, rows: NDArray[np.int64]) -> Part:
    return part.of(np.flatnonzero(np.isin(part.rows, rows)))


def _started(part: Part, state: None, job: SelectionJob, facts: RowFacts) -> tuple[NDArray[np.float32], None]:
    """Return the squared distances of all rows to no choice at all: infinite; -1 for rows that may not be chosen."""
    distances = np.full(len(part.rows), -1, dtype=np.float32)
    distances[Candidates.of_part(job, part, facts).rows] = np.inf
    return distances, None


def _approached(
    part: Part, state: NDArray[np.float32], vectors: NDArray[np.float32], rows: NDArray[np.int64], count: int
) -> tuple[NDArray[np.float32], _Farthest]:
    """Lower the distances to those to the nearest new choice.

    :param state: squared distances to the choices before; -1 for these choices.
    :param vectors: vectors of the new choices.
    :param rows: their positions among all rows.
    :param count: about how many of the farthest rows to return.
    """
    distances = state.copy()
    approach(distances, part.vectors, vectors)
    distances[np.isin(part.rows, rows)] = -1
    few = highest(distances, count) if len(distances) else np.zeros(0, dtype=np.int64)
    others = float(np.delete(distances, few).max(initial=-1))
    few = few[distances[few] >= 0]
    return distances, _Farthest(part.rows[few], part.vectors[few], distances[few], others)
