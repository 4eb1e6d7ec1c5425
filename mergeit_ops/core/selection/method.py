"""What a selection method gets and returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Need", "Pool", "Selection", "SelectionMethod"]

Need = Literal["vectors", "scores", "targets", "tags", "texts", "topics", "chosen"]
"""What a method may ask to know about the rows."""


@dataclass(frozen=True)
class Pool:
    """n rows to choose from. Only what the method `needs` is filled.

    :param vectors: (n, d) float32 of unit norm.
    :param scores: (n,) float64, on the scale that the operator asks for, fitted to the whole dataset; each row has one.
    :param targets: (m, d) float32: vectors of the rows of a target.
    :param tags: tags of each row.
    :param texts: text of each row.
    :param topics: (n,) topic of each row.
    :param chosen: (n,) bool, the rows that are chosen already.
    :param kept: how many of the rows are kept in the end, where they are put in order to split a budget among topics;
        None: as many as are chosen.
    """

    vectors: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    scores: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    targets: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    tags: Sequence[frozenset[str]] = ()
    texts: Sequence[str] = ()
    topics: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    chosen: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    kept: float | None = None


@dataclass(frozen=True)
class Selection:
    """Chosen rows, best first.

    :param indices: (budget,) int64 row positions in the order they were chosen.
    :param gains: (budget,) float64: what each row adds to the objective. If the gains of a method never rise, they can
        split a budget among topics.
    """

    indices: NDArray[np.int64]
    gains: NDArray[np.float64]


class SelectionMethod(Protocol):
    """Chooses rows. An instance is frozen and small: it is sent to the workers of a cluster.

    A method inherits from it, and from there has the answers of a method with nothing to say.
    """

    selected: ClassVar[str]
    """What the chosen rows are, for the report: `the most representative`."""

    @property
    def needs(self) -> frozenset[Need]:
        """Return what must be filled in the pool."""
        return frozenset({"vectors"})

    @property
    def chosen_column(self) -> str | None:
        """Return the column of booleans that fills `chosen` of the pool; None if the method does not need it."""
        return None

    def select(self, pool: Pool, budget: int) -> Selection:
        """Choose rows.

        :param pool: the rows.
        :param budget: rows to choose, 1 <= budget <= n.
        :return: the rows, best first. Equal rows go to the lowest position.
        """
        ...

    def refusal(self, rows: int, budget: int) -> str:
        """Return why so many rows are too many for the method, as a sentence without a full stop; empty: they are not.

        :param rows: rows to choose from.
        :param budget: rows to choose.
        """
        return ""

    def note(self, rows: int, budget: int) -> str:
        """Return what to log about a selection; empty: nothing.

        :param rows: rows to choose from.
        :param budget: rows to choose.
        """
        return ""
