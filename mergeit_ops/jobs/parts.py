"""The vectors of a flat dataset, divided among the tasks of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.selection.summaries import Summaries

__all__ = ["Part", "Parts"]


@dataclass(frozen=True, eq=False)
class Part:
    """Some rows of a flat dataset. Hashes of their ids say which, so it is the same in any order of the rows.

    :param rows: (n,) positions of the rows among all rows.
    :param hashes: (n,) uint64 hashes of their ids; each division uses up some of a hash.
    :param vectors: (n, d) float32, zero for unreadable rows.
    :param summaries: a group of rows for each row, if the rows were chosen from more; None: the rows are all rows.
    """

    rows: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    vectors: NDArray[np.float32]
    summaries: Summaries | None = None

    def of(self, rows: NDArray[np.int64], summaries: Summaries | None = None) -> Part:
        """Return some of the rows.

        :param rows: positions in the part.
        :param summaries: the groups of these rows.
        """
        return Part(self.rows[rows], self.hashes[rows], self.vectors[rows], summaries)

    def divided(self, count: int) -> list[Part]:
        """Divide the rows by their hashes.

        :param count: number of new parts.
        """
        numbers = self.hashes % np.uint64(count)
        left = Part(self.rows, self.hashes // np.uint64(count), self.vectors)
        places = [np.flatnonzero(numbers == number) for number in range(count)]
        groups = [None if self.summaries is None else self.summaries.of(own) for own in places]
        return [left.of(own, group) for own, group in zip(places, groups, strict=True)]

    @classmethod
    def joined(cls, parts: Sequence[Part]) -> Part:
        """Join parts in order.

        :param parts: at least one.
        """
        groups = [part.summaries for part in parts if part.summaries is not None]
        return cls(
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.hashes for part in parts]),
            np.concatenate([part.vectors for part in parts]),
            Summaries(np.concatenate([g.sums for g in groups]), np.concatenate([g.rows for g in groups]))
            if groups
            else None,
        )

    def sorted(self) -> Part:
        """Return the rows by ascending hash; rows of equal content in the order of the dataset."""
        return self.of(np.lexsort((self.rows, self.hashes)))


class Parts(Protocol):
    """Parts that hold all rows of a dataset, or those that were chosen before. None of them is in this process."""

    def tell(self, function: Callable[..., Any], *shared: Any, each: Iterable[Any] | None = None) -> list[Any]:
        """Return what a function reports about each part.

        :param function: function of a part, the shared arguments, and this part's own argument. It is pickled.
        :param shared: arguments of all calls.
        :param each: one further argument for each part.
        """
        ...

    def evolved(
        self, function: Callable[..., tuple[Any, Any]], states: Sequence[Any] | None, *shared: Any
    ) -> tuple[Sequence[Any], list[Any]]:
        """Return a state of each part, which stays on the cluster, and what a function reports about each part.

        :param function: function of a part, its state and the shared arguments; it returns its new state and a report.
        :param states: the states before, as this method has returned them; None: the function gets None.
        :param shared: see `tell`.
        """
        ...

    def divided(
        self, function: Callable[..., Part], count: int, *shared: Any, each: Iterable[Any] | None = None
    ) -> Parts:
        """Return new parts: the rows that a function keeps of each part, divided by their hashes.

        :param function: see `tell`; it returns a part with these rows.
        :param count: number of new parts.
        :param shared: see `tell`.
        :param each: see `tell`.
        """
        ...
