"""The worth of a set in tokens of random rows, from the losses of random rows and of twice as many random rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.training_effect.crossed_mean import crossed_mean

__all__ = ["LEAST_WORTH", "MOST_WORTH", "TokenWorth", "token_worth"]

LEAST_WORTH, MOST_WORTH = 0.25, 4.0
"""No worth is given outside this range, because only 1 and 2 times the tokens are measured."""

_STEPS_PER_DOUBLING = 100


@dataclass(frozen=True)
class TokenWorth:
    """The worth of a set, as a multiple of its tokens: random rows with this many tokens give the same loss.

    :param estimate: the multiple; None: it is outside `LEAST_WORTH` to `MOST_WORTH`.
    :param low: lower end of the interval; None: it can be below `LEAST_WORTH`.
    :param high: upper end of the interval; None: it can be above `MOST_WORTH`.
    """

    estimate: float | None
    low: float | None
    high: float | None


def token_worth(gains: NDArray[Any], of_doubling: NDArray[Any], confidence: float = 0.95) -> TokenWorth | None:
    """Return the worth of a set.

    Every doubling of the tokens is assumed to lower the loss by the same amount. A worth of 2^t is in the interval if
    the interval of the mean of `gains - t * of_doubling` contains 0 (Fieller, Some Problems in Interval Estimation,
    JRSS B 16, 1954). So the interval includes the uncertainty of both means.

    :param gains: (m, n) for m draws and n held-out rows: loss with random rows of the same number of tokens, minus loss
        with the set.
    :param of_doubling: (m, n) loss with random rows, minus loss with random rows of twice the tokens.
    :param confidence: confidence of the interval, in (0, 1).
    :return: the worth, or None if doubling the tokens has no clear effect to compare with.
    """
    doubled = crossed_mean(of_doubling, confidence)
    if not (doubled.excludes_zero and doubled.estimate > 0):
        return None
    first, last = math.log2(LEAST_WORTH), math.log2(MOST_WORTH)
    points = np.linspace(first, last, round((last - first) * _STEPS_PER_DOUBLING) + 1)
    inside = [not crossed_mean(gains - point * of_doubling, confidence).excludes_zero for point in points]
    doublings = float(np.mean(gains)) / doubled.estimate
    estimate = 2.0**doublings if first <= doublings <= last else None
    if not any(inside):
        # The whole interval is outside the range; the estimate shows on which side.
        return TokenWorth(None, MOST_WORTH, None) if doublings > 0 else TokenWorth(None, None, LEAST_WORTH)
    return TokenWorth(estimate, *_ends(points, inside))


def _ends(points: NDArray[np.float64], inside: Sequence[bool]) -> tuple[float | None, float | None]:
    numbers = np.flatnonzero(inside)
    low = None if numbers[0] == 0 else float(2.0 ** points[numbers[0]])
    high = None if numbers[-1] == len(points) - 1 else float(2.0 ** points[numbers[-1]])
    return low, high
