"""The tags of rows as numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TagRows"]


@dataclass(frozen=True, eq=False)
class TagRows:
    """The tags of n rows.

    :param names: (k,) the distinct tags, in the order in which they appear.
    :param ids: positions in `names`, one row after the other, ascending within a row.
    :param starts: (n + 1,) start of each row's tags in `ids`, and the end of the last.
    """

    names: list[str]
    ids: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, tags: Sequence[Iterable[str]]) -> TagRows:
        """Number the tags of rows.

        :param tags: the tags of each row; a repeated tag counts once.
        """
        numbers: dict[str, int] = {}
        flat: list[int] = []
        starts = np.zeros(len(tags) + 1, np.int64)
        for row, own in enumerate(tags):
            # Ascending, so that rows with the same tags have the same sums to the last bit.
            flat += sorted({numbers.setdefault(tag, len(numbers)) for tag in own})
            starts[row + 1] = len(flat)
        return cls(list(numbers), np.asarray(flat, np.int64), starts)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Return how many tags each row has."""
        return np.diff(self.starts)
