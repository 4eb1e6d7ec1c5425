"""The rows that a method starts with if each choice depends on the choices before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import squared_distances
from mergeit_ops.core.selection.method import Need, Pool, SelectionMethod

Start = Literal["centroid", "first", "random", "column"]
STARTS: tuple[Start, ...] = ("centroid", "first", "random", "column")


@dataclass(frozen=True)
class StartedMethod(SelectionMethod):
    """A method that chooses one row after the other.

    :param start: the first choice: the row nearest to the mean (`centroid`), the `first` row, or a `random` one.
        `column`: the rows that a column marks as chosen. They are part of the selection and of its budget. If there are
        none, the method starts from the centroid.
    :param seed: seed of a random start.
    """

    start: Start = "centroid"
    seed: int = 42

    @property
    def needs(self) -> frozenset[Need]:
        """See `SelectionMethod`."""
        return frozenset({"vectors", "chosen"} if self.start == "column" else {"vectors"})

    def start_without_vectors(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64] | None:
        """Return the positions of the rows to start with; None if this depends on the vectors.

        :param chosen: (n,) whether each row is chosen already.
        """
        n = len(chosen)
        if self.start == "column" and chosen.any():
            return np.flatnonzero(chosen)
        if self.start == "first" or not n:
            return np.arange(min(n, 1))
        if self.start == "random":
            return np.random.default_rng(self.seed).integers(n, size=1)
        return None

    def first_rows(self, pool: Pool) -> NDArray[np.int64]:
        """Return the positions of the rows to start with, ascending; at least one if there are rows."""
        marked = pool.chosen if len(pool.chosen) else np.zeros(len(pool.vectors), bool)
        known = self.start_without_vectors(marked)
        if known is not None:
            return known
        mean = pool.vectors.mean(axis=0, dtype=np.float64)[None].astype(np.float32)
        return squared_distances(pool.vectors, mean).argmin(axis=0)
