"""What a set is worth in tokens of random rows, by its place between random rows and twice as many of them."""

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
"""Beyond these, what a set is worth is not told: only 1 and 2 are measured."""

_STEPS_PER_DOUBLING = 100


@dataclass(frozen=True)
class TokenWorth:
    """A set is worth as many random rows as have so many times its tokens.

    :param estimate: times its tokens; None: beyond `LEAST_WORTH` or `MOST_WORTH`.
    :param low: lower end of the interval; None: it may be less than `LEAST_WORTH`.
    :param high: upper end; None: it may be more than `MOST_WORTH`.
    """

    estimate: float | None
    low: float | None
    high: float | None


def token_worth(gains: NDArray[Any], of_doubling: NDArray[Any], confidence: float = 0.95) -> TokenWorth | None:
    """Return what a set is worth.

    The loss is taken to fall by as much with every doubling of the tokens. A worth of 2^t is in the interval where the
    mean of `gains - t * of_doubling` cannot be told from 0 (Fieller, Some Problems in Interval Estimation, JRSS B 16,
    1954): the interval is that of both means together.

    :param gains: (m, n), of m draws and n held-out rows: by how much the loss is lower than with random rows of the
        same tokens.
    :param of_doubling: (m, n) by how much it is lower with random rows of twice the tokens.
    :param confidence: of the interval, in (0, 1).
    :return: None where doubling the tokens cannot be told from nothing, so that nothing can be measured by it.
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
        # Outside altogether; the estimate tells on which side.
        return TokenWorth(None, MOST_WORTH, None) if doublings > 0 else TokenWorth(None, None, LEAST_WORTH)
    return TokenWorth(estimate, *_ends(points, inside))


def _ends(points: NDArray[np.float64], inside: Sequence[bool]) -> tuple[float | None, float | None]:
    numbers = np.flatnonzero(inside)
    low = None if numbers[0] == 0 else float(2.0 ** points[numbers[0]])
    high = None if numbers[-1] == len(points) - 1 else float(2.0 ** points[numbers[-1]])
    return low, high
