"""The scale of a rubric."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mergeit_ops.core.merging.replies import FailureReason, ReplyError

__all__ = ["Scale"]


@dataclass(frozen=True)
class Scale:
    """The numbers that a judge may give.

    :param low: lowest.
    :param high: highest number; infinity for no limit.
    :param whole: whether only whole numbers count.
    :raises ValueError: if the ends are not numbers, or the lowest is not below the highest.
    """

    low: float
    high: float
    whole: bool = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.low) or not self.low < self.high:
            raise ValueError(f"the lowest number must be below the highest, got {self.low:g} and {self.high:g}")

    def __str__(self) -> str:
        """Return what a judge may give, for a prompt."""
        if math.isinf(self.high):
            return f"a whole number of at least {self.low:g}" if self.whole else f"a number of at least {self.low:g}"
        if self.whole:
            return f"a whole number from {self.low:g} to {self.high:g}"
        return f"a number from {self.low:g} to {self.high:g}, with a decimal where the record lies between two levels"

    def checked(self, number: object) -> float:
        """Check that a number is on the scale, and return it.

        :param number: number from a judge.
        :raises ReplyError: `unparsable`, if it is not a number on the scale.
        """
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not self.low <= number <= self.high:
            raise ReplyError(FailureReason.UNPARSABLE)
        try:
            value = float(number)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value) or (self.whole and not value.is_integer()):
            raise ReplyError(FailureReason.UNPARSABLE)
        return value
