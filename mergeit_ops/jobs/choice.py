"""What was chosen from which rows, for the record. Choices of the parts of a dataset can be added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import inner_products
from mergeit_ops.core.selection.selection import Selection

__all__ = ["Choice"]

_BLOCK_ROWS = 8_192
_TARGETS = 1_000  # texts of the target used for the figure, evenly spread
_DIGITS = 4  # later digits of sums and products depend on how rows are divided into blocks


@dataclass(frozen=True, eq=False)
class Choice:
    """A choice among rows.

    :param rows: number of rows to choose from.
    :param kept: rows that stay.
    :param scores: sum of the scores of all rows, and their number.
    :param chosen_scores: the same of the chosen rows.
    :param reached: (m,) highest cosine of any row to each row of the target (at most 1,000 of them), at least 0; None
        without a target.
    :param chosen_reached: the same of the chosen rows.
    :param tokens: estimated tokens of all rows, and of the chosen ones; None if the budget does not count tokens.
    :param left_out: (2, p) positions of the rows that a bound of the method left out, and of the rows that they are too
        similar to.
    :param bounds: the lowest and the highest bound that the method has found; None if it has found none.
    :param counts: further figures of the method.
    :param stats: values of the rows that stay, by stat; None for a row without a value.
    :param twins: `left_out` as ids of rows, if the recipe asks for them.
    """

    rows: int = 0
    kept: int = 0
    scores: tuple[float, int] = (0.0, 0)
    chosen_scores: tuple[float, int] = (0.0, 0)
    reached: NDArray[np.float32] | None = None
    chosen_reached: NDArray[np.float32] | None = None
    tokens: tuple[int, int] | None = None
    left_out: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, 0), np.int64))
    bounds: tuple[float, float] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    stats: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    twins: Sequence[tuple[str, str]] = ()

    @classmethod
    def of(
        cls,
        kept: int,
        rows: int,
        chosen: NDArray[np.int64],
        numbers: NDArray[np.float64] | None = None,
        vectors: NDArray[np.float32] | None = None,
        targets: NDArray[np.float32] | None = None,
        tokens: NDArray[np.int64] | None = None,
    ) -> Choice:
        """Return the description of a choice.

        :param kept: rows that stay.
        :param rows: number of rows to choose from.
        :param chosen: positions of the chosen rows.
        :param numbers: (n,) score of each row, NaN if it has none; None if there are no scores.
        :param vectors: (n, d) vectors of the rows; needed if there is a target.
        :param targets: (m, d) vectors of the target; None without a target.
        :param tokens: (n,) estimated tokens of each row; None if the budget does not count tokens.
        """
        found = cls(rows, kept)
        if numbers is not None:
            found = replace(found, scores=_sum(numbers), chosen_scores=_sum(numbers[chosen]))
        if tokens is not None:
            found = replace(found, tokens=(int(tokens.sum()), int(tokens[chosen].sum())))
        if vectors is not None and targets is not None:
            some = targets[:: -(-len(targets) // _TARGETS)]
            found = replace(found, reached=_reached(vectors, some), chosen_reached=_reached(vectors[chosen], some))
        return found

    def with_words_of(self, selection: Selection, positions: NDArray[np.int64]) -> Choice:
        """Return the choice with the method's stats and counts.

        :param selection: result of the method.
        :param positions: ascending positions of the rows that stay, which include the chosen ones.
        """
        bounds = None if selection.bound is None else (selection.bound, selection.bound)
        stats = {}
        places = np.searchsorted(positions, selection.indices).tolist()
        for name, values in selection.stats.items():
            stats[name] = [None] * len(positions)
            for place, value in zip(places, values, strict=True):
                stats[name][place] = value
        return replace(self, left_out=selection.left_out, bounds=bounds, counts=selection.counts, stats=stats)

    def with_twins(self, row_ids: Sequence[str]) -> Choice:
        """Return the choice with the ids of the rows left out, and of the rows that they are too similar to.

        :param row_ids: ids of all rows to choose from.
        """
        return replace(self, twins=[(row_ids[row], row_ids[other]) for row, other in self.left_out.T.tolist()])

    def __add__(self, other: Choice) -> Choice:
        return Choice(
            self.rows + other.rows,
            self.kept + other.kept,
            (self.scores[0] + other.scores[0], self.scores[1] + other.scores[1]),
            (self.chosen_scores[0] + other.chosen_scores[0], self.chosen_scores[1] + other.chosen_scores[1]),
            _highest(self.reached, other.reached),
            _highest(self.chosen_reached, other.chosen_reached),
            _both(self.tokens, other.tokens),
            # Positions and stats of rows belong to one part of a dataset. Only their number can be added up.
            np.concatenate([self.left_out, other.left_out], axis=1),
            _widest(self.bounds, other.bounds),
            Counter(self.counts) + Counter(other.counts),
            twins=[*self.twins, *other.twins],
        )

    def figures(self) -> dict[str, Any]:
        """Return the tokens and the mean score of the chosen rows and of all rows, and how near both come to the
        target."""
        figures: dict[str, Any] = {}
        if self.left_out.size:
            figures["too_alike"] = self.left_out.shape[1]
        if self.bounds is not None:
            low, high = (round(bound, _DIGITS) for bound in self.bounds)
            figures["max_similarity"] = low if low == high else {"lowest": low, "highest": high}
        figures |= self.counts
        if self.tokens is not None:
            figures["tokens"] = {"chosen": self.tokens[1], "all": self.tokens[0]}
        if self.scores[1]:
            figures["mean_score"] = {"chosen": _mean(*self.chosen_scores), "all": _mean(*self.scores)}
        if self.reached is not None and self.chosen_reached is not None:
            figures["target_similarity"] = {
                "chosen": round(float(self.chosen_reached.mean(dtype=np.float64)), _DIGITS),
                "all": round(float(self.reached.mean(dtype=np.float64)), _DIGITS),
            }
        return figures


def _sum(numbers: NDArray[np.float64]) -> tuple[float, int]:
    there = numbers[~np.isnan(numbers)]
    return float(there.sum()), len(there)


def _mean(total: float, count: int) -> float | None:
    return round(total / count, _DIGITS) if count else None


def _reached(vectors: NDArray[np.float32], targets: NDArray[np.float32]) -> NDArray[np.float32]:
    best = np.zeros(len(targets), dtype=np.float32)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        np.maximum(best, inner_products(vectors[start : start + _BLOCK_ROWS], targets).max(axis=0), out=best)
    return best


def _highest(a: NDArray[np.float32] | None, b: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    if a is None or b is None:
        return b if a is None else a
    return np.maximum(a, b)


def _both(a: tuple[int, int] | None, b: tuple[int, int] | None) -> tuple[int, int] | None:
    if a is None or b is None:
        return b if a is None else a
    return a[0] + b[0], a[1] + b[1]


def _widest(a: tuple[float, float] | None, b: tuple[float, float] | None) -> tuple[float, float] | None:
    if a is None or b is None:
        return b if a is None else a
    return min(a[0], b[0]), max(a[1], b[1])
