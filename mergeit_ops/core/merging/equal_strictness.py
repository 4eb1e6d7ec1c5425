"""Find the cosine of one embedding model that is as strict as a given cosine of another model.

Cosines of two models are not on one scale: with some models, any two texts have more than 0.7. Two thresholds are
equally strict if the same share of the pairs of a reference sample exceeds each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_AGREEMENT", "LEAST_PAIRS", "EqualStrictness"]

LEAST_AGREEMENT = 0.1
"""Lowest agreement of two models on the pairs above a threshold: 0 is chance, 1 means the same pairs."""

LEAST_PAIRS = 30
"""Fewest pairs of the reference sample above a threshold; fewer say little about the share."""

_POINTS = 80


@dataclass(frozen=True)
class EqualStrictness:
    """Equally strict cosines of two models: points for several shares of pairs, the strictest first.

    :param shares: (p,) share of the pairs above the cosines of a point, ascending.
    :param known: (p,) cosines of the model whose threshold is known, descending.
    :param other: (p,) cosines of the other model, descending.
    :param agreement: (p,) agreement of the two models on the pairs above, as Cohen's kappa: 1 if they are the same
        pairs, 0 if they have as many in common as by chance.
    """

    shares: tuple[float, ...]
    known: tuple[float, ...]
    other: tuple[float, ...]
    agreement: tuple[float, ...]

    @classmethod
    def of(cls, known: NDArray[np.float32], other: NDArray[np.float32]) -> EqualStrictness:
        """Compare all pairs of a sample.

        :param known: (n, d) unit vectors of n different texts by the model whose threshold is known. All n (n - 1) / 2
            cosines are kept in memory: 36 MB for 3,000 texts.
        :param other: (n, e) unit vectors of the same texts by the other model.
        :raises ValueError: if there are too few pairs.
        """
        first, second = _cosines(known), _cosines(other)
        pairs = len(first)
        if pairs <= LEAST_PAIRS:
            raise ValueError(f"{len(known)} texts make {pairs} pairs; more than {LEAST_PAIRS} are needed")
        counts = np.unique(np.geomspace(LEAST_PAIRS, pairs - 1, _POINTS).astype(np.int64))
        shares = counts / pairs
        bounds = [_bounds(cosines, counts) for cosines in (first, second)]
        both = np.array([_count_above(first, second, *at) for at in zip(*bounds, strict=True)])
        agreement = (both / counts - shares) / (1 - shares)
        return cls(*(tuple(values.tolist()) for values in (shares, *bounds, agreement)))

    def at(self, cosine: float) -> tuple[float, float, float]:
        """Return the cosine that is as strict as a cosine of the model whose threshold is known.

        :param cosine: in [-1, 1].
        :return: the cosine of the other model; the share of pairs above; and the agreement there.
        :raises ValueError: if too few pairs are above it.
        """
        if cosine > self.known[0]:
            raise ValueError(f"fewer than {LEAST_PAIRS} pairs lie above {cosine:g}")
        found = (_interpolated(cosine, self.known, values) for values in (self.other, self.shares, self.agreement))
        other, share, agreement = found
        return other, share, agreement


def _interpolated(cosine: float, known: Sequence[float], values: Sequence[float]) -> float:
    # NumPy needs them ascending.
    return float(np.interp(cosine, known[::-1], values[::-1]))


def _cosines(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((vectors @ vectors.T)[np.triu_indices(len(vectors), 1)])


def _bounds(cosines: NDArray[np.float32], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return, for each count, a cosine that this many pairs exceed, or fewer if several are equal."""
    descending = np.sort(cosines)[::-1].astype(np.float64)
    return (descending[counts - 1] + descending[counts]) / 2


def _count_above(first: NDArray[np.float32], second: NDArray[np.float32], at_first: float, at_second: float) -> int:
    return int(np.count_nonzero((first > at_first) & (second > at_second)))
