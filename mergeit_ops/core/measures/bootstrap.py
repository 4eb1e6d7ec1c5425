"""How far a mean may be off: bootstrap intervals, several means together so that their differences are paired."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interval", "mean_interval", "mean_intervals", "with_both_errors"]

_RESAMPLES = 2_000
_SEED = 42
_CELLS = 4_000_000  # weights held at once, 32 MB

_NORMAL = NormalDist()


@dataclass(frozen=True)
class Interval:
    """An estimate and the interval around it.

    :param estimate: the mean of the values.
    :param low: lower end; None where fewer than two values tell nothing about how they vary.
    :param high: upper end; None likewise.
    """

    estimate: float
    low: float | None
    high: float | None

    @property
    def excludes_zero(self) -> bool:
        """Tell whether zero is outside, as it is for a difference that chance alone hardly makes."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def mean_interval(
    values: Sequence[float] | NDArray[Any], confidence: float = 0.95, resamples: int = _RESAMPLES, seed: int = _SEED
) -> Interval:
    """Return the mean of some values with its bootstrap interval.

    For a paired difference give the differences, row by row.

    :param values: n independent values, n >= 1.
    :param confidence: of the interval, in (0, 1).
    :param resamples: how often n of the values are drawn with replacement, >= 1; of a 95 % interval from 2,000 the ends
        vary with the seed by about 2 % of its length.
    :param seed: of the draws.
    :raises ValueError: if there is no value.
    """
    (interval,) = mean_intervals(np.asarray(values, dtype=np.float64)[:, None], confidence, resamples, seed)
    return interval


def mean_intervals(
    columns: NDArray[Any], confidence: float = 0.95, resamples: int = _RESAMPLES, seed: int = _SEED
) -> list[Interval]:
    """Return the means of several columns with their bootstrap intervals, from the same draws of rows.

    The ends are those of the bias-corrected and accelerated method (BCa; Efron, Better Bootstrap Confidence Intervals,
    JASA 82, 1987): for values that are skewed they lie apart from the mean by different lengths, which those of a plain
    percentile interval do too little. Values of which all are the same give an interval of no length. It takes time
    proportional to n times resamples.

    :param columns: (n, k) values, n >= 1; rows are independent of each other, the columns of a row need not be.
    :param confidence: of each interval, in (0, 1).
    :param resamples: see `mean_interval`.
    :param seed: of the draws.
    :return: k intervals.
    :raises ValueError: if there is no row.
    """
    n, k = columns.shape
    if n == 0:
        raise ValueError("A mean needs at least one value.")
    means = columns.mean(axis=0, dtype=np.float64)
    if n == 1:
        return [Interval(float(mean), None, None) for mean in means]
    centred = columns - means
    drawn = np.empty((resamples, k), dtype=np.float64)
    rng = np.random.default_rng(seed)
    at_once = max(1, _CELLS // n)
    for start in range(0, resamples, at_once):
        some = min(at_once, resamples - start)
        weights = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(some)]).astype(np.float64)
        drawn[start : start + some] = weights @ centred / n
    drawn.sort(axis=0)
    tail = (1 - confidence) / 2
    return [
        Interval(float(means[i]), *(float(means[i] + end) for end in _bca_ends(drawn[:, i], centred[:, i], tail)))
        for i in range(k)
    ]


def with_both_errors(one: Interval, other: Interval) -> Interval:
    """Return an interval that allows for two independent errors of the same estimate.

    :param one: the estimate, with the interval of the first error.
    :param other: the interval of the second error.
    :return: around the estimate of `one`; without ends if either has none.
    """
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return Interval(one.estimate, None, None)
    return Interval(
        one.estimate,
        one.estimate - math.hypot(one.estimate - one.low, other.estimate - other.low),
        one.estimate + math.hypot(one.high - one.estimate, other.high - other.estimate),
    )


def _bca_ends(drawn: NDArray[np.float64], centred: NDArray[np.float64], tail: float) -> tuple[float, float]:
    """Return the ends of an interval around zero.

    :param drawn: deviations of the drawn means, ascending.
    :param centred: the values' own deviations.
    :param tail: share of the probability that lies beyond each end.
    """
    squares = float((centred**2).sum())
    if squares == 0:
        return 0.0, 0.0
    # Of a mean the acceleration is a sixth of its skewness.
    acceleration = float((centred**3).sum()) / (6 * squares**1.5)
    # Draws of few distinct values hit the mean itself often: half of these lie below.
    rounding = 1e-9 * math.sqrt(squares) / len(centred)
    below = float((drawn < -rounding).sum() + (np.abs(drawn) <= rounding).sum() / 2) / len(drawn)
    bias = _NORMAL.inv_cdf(min(max(below, 0.5 / len(drawn)), 1 - 0.5 / len(drawn)))
    ends = []
    for point in (_NORMAL.inv_cdf(tail), _NORMAL.inv_cdf(1 - tail)):
        shifted = bias + point
        # At or below zero: a tail so long that the end is that of all draws.
        room = max(1 - acceleration * shifted, 1e-6)
        ends.append(float(np.quantile(drawn, _NORMAL.cdf(bias + shifted / room))))
    return ends[0], ends[1]
