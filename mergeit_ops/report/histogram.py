"""Counts of several sets over the same edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from mergeit_ops.report.rendering import rounded

__all__ = ["Histogram", "histogram"]

_BINS = (8, 40)


@dataclass(frozen=True)
class Histogram:
    """Counts between edges.

    :param edges: one more than counts.
    :param counts: name of each set to its counts.
    :param medians: name to the median; None for an empty set.
    """

    edges: list[float]
    counts: dict[str, list[int]]
    medians: dict[str, float | None]

    def as_data(self) -> dict[str, Any]:
        """Return it for a script."""
        return {
            "edges": [round(edge, 5) for edge in self.edges],
            "counts": self.counts,
            "medians": {name: rounded(value, 3) for name, value in self.medians.items()},
        }


def histogram(sets: Mapping[str, Sequence[Any]], over: Sequence[Any]) -> Histogram:
    """Return the histogram of several sets.

    :param sets: name to numbers.
    :param over: the numbers that tell the edges; at least one.
    """
    bins = int(np.clip(np.ceil(2 * len(over) ** (1 / 3)), *_BINS))  # Rice's rule
    edges = np.histogram_bin_edges(np.array(over, dtype=np.float64), bins=bins)
    return Histogram(
        [float(edge) for edge in edges],
        {name: [int(count) for count in np.histogram(values, bins=edges)[0]] for name, values in sets.items()},
        {name: float(median(values)) if values else None for name, values in sets.items()},
    )
