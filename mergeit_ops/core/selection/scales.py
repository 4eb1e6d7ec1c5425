"""Scales of scores, fitted to all rows of a dataset."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SCALES", "ScoreCurve", "finite_numbers"]


def finite_numbers(values: Iterable[Any]) -> NDArray[np.float64]:
    """Return values as numbers; a value that is not a finite number becomes NaN."""
    return np.asarray([_number(value) for value in values], dtype=np.float64)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return math.nan
    return float(value)


@dataclass(frozen=True, eq=False)
class ScoreCurve:
    """A scale of scores: a piecewise linear curve through points.

    :param scores: (p,) ascending.
    :param values: (p,) values on the scale. A missing score gets the first value, which is that of the lowest score.
    """

    scores: NDArray[np.float64]
    values: NDArray[np.float64]

    def __call__(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return scores on the scale.

        :param scores: (n,) scores of the dataset that the scale was fitted to; NaN if missing.
        """
        return np.interp(np.where(np.isnan(scores), self.scores[0], scores), self.scores, self.values)


def _minmax(scores: NDArray[np.float64]) -> ScoreCurve:
    low, high = scores.min(), scores.max()
    if low == high:
        return ScoreCurve(np.array([low]), np.zeros(1))
    return ScoreCurve(np.array([low, high]), np.array([0.0, 1.0]))


def _rank(scores: NDArray[np.float64]) -> ScoreCurve:
    distinct, counts = np.unique(scores, return_counts=True)
    # Equal scores have the mean of their ranks.
    ranks = np.cumsum(counts) - (counts + 1) / 2
    return ScoreCurve(distinct, ranks / max(1, len(scores) - 1))


def _as_they_are(scores: NDArray[np.float64]) -> ScoreCurve:
    distinct = np.unique(scores)
    return ScoreCurve(distinct, distinct)


SCALES: Mapping[str, Callable[[NDArray[np.float64]], ScoreCurve]] = {
    "minmax": _minmax,
    "rank": _rank,
    "raw": _as_they_are,
}
"""Scales by name. Each is fitted to all known scores, n >= 1 numbers without NaN.

`minmax` maps the lowest to 0 and the highest to 1, `rank` does the same with ranks, and `raw` changes nothing.
"""
