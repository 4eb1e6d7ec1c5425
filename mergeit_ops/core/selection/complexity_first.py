"""Complexity first: rows with many tags, each of which adds a new tag (InsTag's sampler, arXiv 2308.07074).

A pass goes through the rows that are left, those with the most tags first, and takes each row with a tag that the pass
does not have yet. Passes are repeated until there are enough rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.selection.method import Need, Pool, Selection, SelectionMethod
from mergeit_ops.core.selection.tag_rows import TagRows

__all__ = ["ComplexityFirst"]


@dataclass(frozen=True)
class ComplexityFirst(SelectionMethod):
    """Rows with many tags, each of which adds a tag to its pass. Rows without tags come last."""

    selected: ClassVar[str] = "those with the most tags, each with a new one"

    @property
    def needs(self) -> frozenset[Need]:
        """See `SelectionMethod`."""
        return frozenset({"tags"})

    def select(self, pool: Pool, budget: int) -> Selection:
        """Choose rows; the gain of a row is the number of tags that it adds to its pass."""
        rows = TagRows.of(pool.tags)
        passes, added = passes_of(rows)
        order = np.lexsort((-rows.counts, passes))[:budget]
        return Selection(order, added[order])


def passes_of(rows: TagRows) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the pass that takes each row, from 1, and how many tags the row adds to it.

    One loop finds all passes. A row belongs to the first pass that lacks one of its tags. A tag is covered in every
    pass up to a last one, which the loop keeps. The row's pass is the earliest of these passes, plus 1.

    :param rows: the tags of rows.
    :return: (n,) passes and (n,) numbers of tags; a row without tags has a pass after all others, and 0.
    """
    ids, starts = rows.ids.tolist(), rows.starts.tolist()
    last = [0] * len(rows.names)
    passes = np.zeros(len(starts) - 1, np.int64)
    added = np.zeros(len(passes))
    for row in np.argsort(-rows.counts, kind="stable").tolist():
        own = ids[starts[row] : starts[row + 1]]
        if not own:
            break
        covered = min([last[tag] for tag in own])
        new = [tag for tag in own if last[tag] == covered]
        for tag in new:
            last[tag] = covered + 1
        passes[row], added[row] = covered + 1, len(new)
    passes[rows.counts == 0] = passes.max(initial=0) + 1
    return passes, added
