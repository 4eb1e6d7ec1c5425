"""The mean of a table whose rows (draws of training rows) and columns (held-out rows) are both random."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CrossedMean", "crossed_mean", "draws_needed", "rows_needed", "smallest_told"]

_MOST_DRAWS = 10_000
_POWER = 0.8


@dataclass(frozen=True)
class CrossedMean:
    """A mean over draws and held-out rows, with its interval.

    :param estimate: the mean.
    :param low: lower end of the interval; None with fewer than two draws or rows, since these do not show a variance.
    :param high: upper end of the interval; None in the same cases.
    :param of_rows: part of the variance that more draws do not reduce.
    :param of_draw: part of the variance that one draw adds. With n draws it is divided by n.
    :param draws: number of draws.
    :param rows: number of held-out rows.
    """

    estimate: float
    low: float | None
    high: float | None
    of_rows: float
    of_draw: float
    draws: int
    rows: int

    @property
    def excludes_zero(self) -> bool:
        """Return whether 0 is outside the interval."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def crossed_mean(values: NDArray[Any], confidence: float = 0.95) -> CrossedMean:
    """Return the mean of a table, with an interval that covers other draws and other held-out rows of the same kinds.

    Draws and rows are crossed: each draw is measured on every row. The variance of the mean is the variance between
    rows plus the variance between draws minus the variance of single cells, which both contain (Cameron, Gelbach and
    Miller, Robust Inference with Multiway Clustering, JBES 29, 2011). It is at least the larger of the first two. The
    interval uses Student's t with Satterthwaite's degrees of freedom, because the interval of a bootstrap over few
    draws is too short.

    :param values: (m, n) finite differences for m draws and n held-out rows.
    :param confidence: confidence of the interval, in (0, 1).
    """
    draws, rows = values.shape
    estimate = float(values.mean(dtype=np.float64))
    if min(draws, rows) < 2:
        return CrossedMean(estimate, None, None, 0.0, 0.0, draws, rows)
    of_rows, of_draws, of_cells = _parts(values)
    variance = max(of_rows + of_draws - of_cells, of_rows, of_draws)
    fixed, of_draw = max(of_rows - of_cells, 0.0), of_draws * draws
    if variance == 0:
        return CrossedMean(estimate, estimate, estimate, fixed, of_draw, draws, rows)
    freedom = (of_rows + of_draws) ** 2 / (of_rows**2 / (rows - 1) + of_draws**2 / (draws - 1))
    half = _student(freedom, 0.5 + confidence / 2) * math.sqrt(variance)
    return CrossedMean(estimate, estimate - half, estimate + half, fixed, of_draw, draws, rows)


def smallest_told(mean: CrossedMean, draws: int, confidence: float = 0.95, power: float = _POWER) -> float:
    """Return the smallest difference from 0 that an experiment detects.

    :param mean: measured mean with an interval.
    :param draws: number of draws of the experiment, >= 2.
    :param confidence: confidence of its intervals, in (0, 1).
    :param power: share of experiments that detect the difference, in (0.5, 1).
    """
    return _told(mean.of_rows, mean.of_draw, mean.rows, draws, confidence, power)


def draws_needed(mean: CrossedMean, difference: float, confidence: float = 0.95, power: float = _POWER) -> int | None:
    """Return the number of draws that detect a difference from 0.

    :param mean: measured mean with an interval.
    :param difference: difference to detect, > 0.
    :param confidence: confidence of the interval, in (0, 1).
    :param power: share of experiments that detect the difference, in (0.5, 1).
    :return: at least 2; None: no number of draws is enough with these held-out rows.
    """
    least, most = 1, 2
    while smallest_told(mean, most, confidence, power) > difference:
        least, most = most, most * 2
        if most > _MOST_DRAWS:
            return None
    while most - least > 1:
        middle = (least + most) // 2
        enough = smallest_told(mean, middle, confidence, power) <= difference
        least, most = (least, middle) if enough else (middle, most)
    return most


def rows_needed(mean: CrossedMean, difference: float, confidence: float = 0.95, power: float = _POWER) -> int:
    """Return the number of held-out rows that detect a difference from 0 with any number of draws.

    :param mean: measured mean with an interval.
    :param difference: difference to detect, > 0.
    :param confidence: confidence of the interval, in (0, 1).
    :param power: share of experiments that detect the difference, in (0.5, 1).
    """
    quantiles = _student(1e9, 0.5 + confidence / 2) + _student(1e9, power)
    return max(2, math.ceil(mean.of_rows * mean.rows * (quantiles / difference) ** 2))


def _told(of_rows: float, of_draw: float, rows: int, draws: int, confidence: float, power: float) -> float:
    of_draws = of_draw / draws
    variance = of_rows + of_draws
    if variance == 0:
        return 0.0
    freedom = variance**2 / (of_rows**2 / (rows - 1) + of_draws**2 / (draws - 1))
    return (_student(freedom, 0.5 + confidence / 2) + _student(freedom, power)) * math.sqrt(variance)


def _parts(values: NDArray[Any]) -> tuple[float, float, float]:
    """Return the variance of the mean by rows, by draws, and by single cells."""
    draws, rows = values.shape
    by_row, by_draw = values.mean(axis=0), values.mean(axis=1)
    left = values - by_row[None, :] - by_draw[:, None] + values.mean()
    cells = float((left**2).sum()) / ((draws - 1) * (rows - 1)) / (draws * rows)
    return float(by_row.var(ddof=1)) / rows, float(by_draw.var(ddof=1)) / draws, cells


def _student(freedom: float, probability: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))
