"""Losses of held-out answers as the two means that are compared: per token and per row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MEANS", "HeldOutLosses"]

MEANS = ("token", "row")
"""Over all answer tokens, where long answers count for more; and over rows, where every answer counts the same."""


@dataclass(frozen=True)
class HeldOutLosses:
    """The losses of the answers of held-out rows after several repeats of a training.

    :param sums: (m, n), of m draws and n rows: the sum over the tokens of the answer, natural logarithm; a draw with
        several seeds has the mean over them.
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
        """Return the differences to other losses, of which the mean is the difference of the means.

        Of the mean over tokens, a ratio, the value of a row is its influence: what the mean would lose without it.

        :param other: of the same rows and draws.
        :param of: one of `MEANS`.
        :return: (m, n).
        """
        values: NDArray[np.float64] = (self.sums - other.sums) / self._weights(of)
        if of == "row":
            return values
        return values - values.mean() * (self.tokens / self.tokens.mean() - 1)

    def _weights(self, of: str) -> Any:
        return self.tokens if of == "row" else self.tokens.mean()
