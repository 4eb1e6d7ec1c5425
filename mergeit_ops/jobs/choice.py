"""What was chosen from which rows, for the record: it can be added up over the parts of a dataset."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import inner_products

__all__ = ["Choice"]

_BLOCK_ROWS = 8_192
_TARGETS = 1_000  # texts of a target that the figure is about, evenly spread
_DIGITS = 4  # the last digits of sums and products depend on how rows are divided into blocks


@dataclass(frozen=True, eq=False)
class Choice:
    """A choice among rows.

    :param rows: rows that there were.
    :param kept: rows that stay.
    :param scores: sum of the scores of all rows, and their number.
    :param chosen_scores: the same of the chosen rows.
    :param reached: (m,) the highest cosine of any row to rows of the target, of 1,000 at most, at least 0; None: no
        target.
    :param chosen_reached: the same of the chosen rows.
    :param tokens: estimated tokens of all rows, and of the chosen ones; None: the budget does not count them.
    """

    rows: int = 0
    kept: int = 0
    scores: tuple[float, int] = (0.0, 0)
    chosen_scores: tuple[float, int] = (0.0, 0)
    reached: NDArray[np.float32] | None = None
    chosen_reached: NDArray[np.float32] | None = None
    tokens: tuple[int, int] | None = None

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
        """Return what is told about a choice.

        :param kept: rows that stay.
        :param rows: rows that there were.
        :param chosen: positions of the chosen ones.
        :param numbers: (n,) score of each row; NaN: none. None: there are no scores.
        :param vectors: (n, d) of the rows; needed if there is a target.
        :param targets: (m, d) of the target; None: there is none.
        :param tokens: (n,) estimated tokens of each row; None: the budget does not count them.
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

    def __add__(self, other: Choice) -> Choice:
        return Choice(
            self.rows + other.rows,
            self.kept + other.kept,
            (self.scores[0] + other.scores[0], self.scores[1] + other.scores[1]),
            (self.chosen_scores[0] + other.chosen_scores[0], self.chosen_scores[1] + other.chosen_scores[1]),
            _highest(self.reached, other.reached),
            _highest(self.chosen_reached, other.chosen_reached),
            _both(self.tokens, other.tokens),
        )

    def figures(self) -> dict[str, Any]:
        """Return tokens and mean score of the chosen rows beside those of all, and how near both come to the target."""
        figures: dict[str, Any] = {}
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
