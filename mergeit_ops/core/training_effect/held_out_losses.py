"""Losses of held-out answers, with their mean per token and their mean per row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MEANS", "HeldOutLosses"]

MEANS = ("token", "row")
"""Per token, long answers count for more. Per row, all answers count the same."""


@dataclass(frozen=True)
class HeldOutLosses:
    """The losses of held-out answers after several draws of a training.

    :param sums: (m, n) for m draws and n rows: loss in nats, summed over the tokens of the answer. A draw with several
        seeds has the mean over its seeds.
    :param tokens: (n,) answer tokens of each row, > 0.
    """

    sums: NDArray[np.float64]
    tokens: NDArray[np.float64]

    def mean(self, of: str) -> float:
        """Return the mean loss.

        :param of: one of `MEANS`.
        """
        return float((self.sums.mean(axis=0) / self._weights(of)).mean())

    def less(self, other: HeldOutLosses, of: str) -> NDArray[np.float64]:
        """Return the differences to other losses. Their mean is the difference of the two mean losses.

        The mean over tokens is a ratio, so the value of a row is its influence on the ratio.

        :param other: losses of the same rows and draws.
        :param of: one of `MEANS`.
        :return: (m, n).
        """
        values: NDArray[np.float64] = (self.sums - other.sums) / self._weights(of)
        if of == "row":
            return values
        return values - values.mean() * (self.tokens / self.tokens.mean() - 1)

    def _weights(self, of: str) -> Any:
        return self.tokens if of == "row" else self.tokens.mean()
