"""Histograms of several sets with common bin edges."""

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
    """Histograms of several sets with common bin edges.

    :param edges: n + 1 bin edges, ascending.
    :param counts: n counts of each set, by the name of the set.
    :param medians: median of each set, by the name of the set; None for an empty set.
    """

    edges: list[float]
    counts: dict[str, list[int]]
    medians: dict[str, float | None]

    def as_data(self) -> dict[str, Any]:
        """Return the histogram in a form that JSON can hold."""
        return {
            "edges": [round(edge, 5) for edge in self.edges],
            "counts": self.counts,
            "medians": {name: rounded(value, 3) for name, value in self.medians.items()},
        }


def histogram(sets: Mapping[str, Sequence[Any]], over: Sequence[Any]) -> Histogram:
    """Return the histogram of several sets.

    :param sets: numbers of each set, by the name of the set.
    :param over: at least one number; the bin edges cover these numbers.
    """
    bins = int(np.clip(np.ceil(2 * len(over) ** (1 / 3)), *_BINS))  # Rice's rule
    edges = np.histogram_bin_edges(np.array(over, dtype=np.float64), bins=bins)
    return Histogram(
        [float(edge) for edge in edges],
        {name: [int(count) for count in np.histogram(values, bins=edges)[0]] for name, values in sets.items()},
        {name: float(median(values)) if values else None for name, values in sets.items()},
    )
