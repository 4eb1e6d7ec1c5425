"""The best rows, no two of which are too similar (DEITA's filter, https://arxiv.org/abs/2312.15685).

Rows are looked at by score, the best first. A row is kept if its cosine to every kept row is at most `max_similarity`.
The released code does the same with a batch size of 1. In larger batches it also compares a row with rows that it has
just dropped, and drops more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.selection.apart import Apart, keep_apart
from mergeit_ops.core.selection.method import Need, Pool, Selection, SelectionMethod
from mergeit_ops.core.vectors import has_text

MOST_AUTO_PAIRS = 1_000_000_000
"""Most rows times choices for which `auto` searches for a bound; each of its fifteen passes may compare this many
pairs."""

_STEP = 1e-4
"""Precision of the bound that `auto` finds. The bound also stays this far below 1, so that no two copies are kept."""


@dataclass(frozen=True)
class SimilarityFilter(SelectionMethod):
    """The rows with the highest scores that are not too similar to a row with a higher score.

    It may choose fewer rows than asked for, because no row above the bound is chosen.

    :param max_similarity: highest cosine of two chosen rows. `auto`: the lowest bound that leaves as many rows as asked
        for, with a precision of 0.0001; at most 0.9999.
    """

    max_similarity: float | Literal["auto"] = 0.9

    selected: ClassVar[str] = "the best that are not alike"
    has_bound: ClassVar[bool] = True

    @property
    def nested(self) -> bool:  # type: ignore[override]
        """See `SelectionMethod`: with `auto`, every budget has its own bound."""
        return self.max_similarity != "auto"

    @property
    def needs(self) -> frozenset[Need]:
        """See `SelectionMethod`."""
        return frozenset({"vectors", "scores"})

    def select(self, pool: Pool, budget: int) -> Selection:
        """Choose rows, at most `budget` of them; their gains are their scores."""
        if self.max_similarity == "auto":
            found, bound = lowest_bound(pool.vectors, pool.scores, budget)
        else:
            found, bound = filter_similar(pool.vectors, pool.scores, budget, self.max_similarity), None
        return Selection(found.kept, pool.scores[found.kept], np.stack([found.dropped, found.dropped_for]), bound)

    def refusal(self, rows: int, budget: int) -> str:
        """See `SelectionMethod`."""
        if self.max_similarity != "auto" or rows * budget <= MOST_AUTO_PAIRS:
            return ""
        return (
            f"max_similarity is auto, which compares each of {rows:,} rows with up to {budget:,} choices fifteen "
            f"times; its limit is {MOST_AUTO_PAIRS:,} pairs. Set max_similarity to a number, or choose fewer rows"
        )


def filter_similar(
    vectors: NDArray[np.float32], scores: NDArray[np.float64], budget: int, bound: float, least: int = 0
) -> Apart:
    """Keep the best rows, no two of which have a cosine above a bound.

    :param vectors: (n, d) float32 of unit norm; rows with a zero vector are never kept.
    :param scores: (n,) scores; rows are looked at by falling score, ties by position.
    :param budget: most rows to keep.
    :param bound: highest cosine of two kept rows.
    :param least: the search ends when it can no longer keep this many rows.
    :return: the kept rows, the best first, and the dropped ones.
    """
    order = np.argsort(-scores, kind="stable")
    return keep_apart(vectors, order[has_text(vectors)[order]], bound, budget, least=least)


def lowest_bound(vectors: NDArray[np.float32], scores: NDArray[np.float64], budget: int) -> tuple[Apart, float]:
    """Keep rows under the lowest bound that leaves as many as asked for, found by bisection.

    A lower bound does not always keep fewer rows, because a row that is kept may exclude two others. So the returned
    rows are those found with the returned bound.

    :param vectors: see `filter_similar`.
    :param scores: see `filter_similar`.
    :param budget: rows to keep.
    :return: the kept rows, and the bound. If no bound leaves enough rows, it is the highest one, and fewer rows are
        kept.
    """
    low, high = -1.0, 1 - _STEP
    best = filter_similar(vectors, scores, budget, high)
    while len(best.kept) == budget and high - low > _STEP:
        middle = (low + high) / 2
        found = filter_similar(vectors, scores, budget, middle, least=budget)
        if len(found.kept) == budget:
            best, high = found, middle
        else:
            low = middle
    return best, high
