"""Whether a row helps a model with other rows if it is shown as a solved example: the gold score of Nuggets.

Source: Li et al., "One-Shot Learning as Instruction Data Prospector" (arXiv 2312.10302).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import squared_distances

__all__ = ["can_reach", "gold_score", "mean_gain", "representatives"]

_ENTRIES = 2**25  # distances in memory at a time: 128 MB
_ROUNDING = 1e-4  # largest error of a squared distance of unit vectors in float32


def gold_score(zero: Sequence[float], one: Sequence[float]) -> float:
    """Return the share of anchors that are more likely with the example than without it; equality is not a gain.

    :param zero: mean log-probability of each anchor's answer without the example, at least one.
    :param one: the same with the example.
    """
    return _wins(zero, one) / len(zero)


def mean_gain(zero: Sequence[float], one: Sequence[float]) -> float:
    """Return the mean gain of the anchors' answers in mean log-probability by the example.

    :param zero: see `gold_score`.
    :param one: see `gold_score`.
    """
    return sum(with_example - without for without, with_example in zip(zero, one, strict=True)) / len(zero)


def can_reach(zero: Sequence[float], one: Sequence[float], anchors: int, min_score: float) -> bool:
    """Return whether the gold score can still reach a bound if all other anchors gain.

    :param zero: mean log-probabilities of the anchors known so far.
    :param one: the same with the example.
    :param anchors: number of all anchors.
    :param min_score: the bound.
    """
    return (_wins(zero, one) + anchors - len(zero)) / anchors >= min_score


def _wins(zero: Sequence[float], one: Sequence[float]) -> int:
    return sum(with_example > without for without, with_example in zip(zero, one, strict=True))


def representatives(vectors: NDArray[np.float32], centroids: NDArray[np.float32]) -> list[int]:
    """Return the row nearest to each centroid, each once, in the order of the centroids. Ties go to the lowest row.

    :param vectors: (n, d) float32, n >= 1.
    :param centroids: (k, d) float32.
    """
    found: dict[int, None] = {}
    step = max(1, _ENTRIES // len(vectors))
    for start in range(0, len(centroids), step):
        block = centroids[start : start + step]
        for centroid, distances in zip(block, squared_distances(block, vectors), strict=True):
            near = np.flatnonzero(distances <= distances.min() + _ROUNDING)
            gaps = vectors[near].astype(np.float64) - centroid.astype(np.float64)
            found[int(near[(gaps * gaps).sum(axis=1).argmin()])] = None
    return list(found)
