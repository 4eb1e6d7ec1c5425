"""The result of a selection method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Selection"]


@dataclass(frozen=True)
class Selection:
    """Chosen rows, best first.

    :param indices: (k,) int64 row positions in the order they were chosen.
    :param gains: (k,) float64: what each row adds to the objective. If the gains of a method never rise, they can
        split a budget among topics.
    :param left_out: (2, p) int64: rows that a bound of the method leaves out, and for each the row that it is too
        similar to.
    :param bound: the bound, if the method has searched for it; None otherwise.
    :param counts: further figures for the record; those of several topics are added up.
    :param stats: stats of the chosen rows: a value for each row, by the key of the stat.
    """

    indices: NDArray[np.int64]
    gains: NDArray[np.float64]
    left_out: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, 0), np.int64))
    bound: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    stats: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @classmethod
    def of_all(cls, indices: NDArray[np.int64]) -> Selection:
        """Return a selection of all rows, if there is nothing to choose.

        :param indices: positions of the rows.
        """
        return cls(indices, np.zeros(len(indices)))
