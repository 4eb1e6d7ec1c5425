"""Measures of a set as means over its rows, so that one bootstrap works for all.

Drawing rows with replacement makes copies of rows. That is right for a mean, but wrong for measures of pairs, because a
copy has distance 0 to its original and is its twin. So the measures are made linear first: each row gets its value in
the measure, by its influence or by leaving it out (the infinitesimal and the plain jackknife; Efron, The Jackknife, the
Bootstrap and Other Resampling Plans, SIAM 1982, chapters 3 and 6). The mean of these values is the measure. Drawing
among them varies it as drawing rows would, without copies of rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.measures.diversity import (
    REDUNDANT_FROM,
    NearDuplicates,
    Nearest,
    mean_pairwise_distance,
    near_duplicates,
)

__all__ = [
    "coverage_pseudo_values",
    "distance_pseudo_values",
    "effective_topic_pseudo_values",
    "redundancy_pseudo_values",
    "vendi_pseudo_values",
]

_NO_SHARE = 1e-10  # the most that rounding leaves of an eigenvalue of zero
_BLOCK_ROWS = 8_192


def coverage_pseudo_values(nearest: Nearest, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return values of chosen rows whose mean is their coverage of a pool.

    Without a row, each pool row to which it is nearest falls back to its second nearest. The value of a row is n - 1
    times this loss. The resulting variance tends to be too large (Efron and Stein 1981, as in
    `redundancy_pseudo_values`). It describes how coverage would vary with other chosen rows, not with another pool.

    :param nearest: nearest chosen rows of the pool.
    :param rows: (n,) positions of the chosen rows, ascending; n >= 2.
    :return: (n,).
    :raises ValueError: if there are fewer than two rows.
    """
    n = len(rows)
    if n < 2:
        raise ValueError("What a row adds to coverage takes at least two rows.")
    loss = nearest.best.astype(np.float64) - nearest.second
    worth = np.bincount(np.searchsorted(rows, nearest.row), loss, minlength=n) * ((n - 1) / len(loss))
    return float(nearest.best.mean(dtype=np.float64)) + worth - worth.mean()


def distance_pseudo_values(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return values of rows whose mean is the mean distance of all pairs.

    It is a mean over pairs (a U-statistic), in which a row counts twice, with its mean distance to the others.

    :param vectors: (n, d) float32 of unit norm, n >= 1.
    :return: (n,).
    :raises ValueError: if there is no row.
    """
    mean = mean_pairwise_distance(vectors)
    if len(vectors) == 1:
        return np.zeros(1)
    total = vectors.sum(axis=0, dtype=np.float64)
    to_others = np.concatenate([1 - (block @ total - 1) / (len(vectors) - 1) for block in _blocks(vectors)])
    return mean + 2 * (to_others - to_others.mean())


def vendi_pseudo_values(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return values of rows whose mean is the Vendi score (of order 1).

    The score V is exp(H), H = -trace(C ln C), C the mean of x x^T over rows x. A little more weight on x changes H by q
    = -x^T (ln C) x - H. If rows are few, leaving x out is a large change. With Q, the second derivative of H in the
    direction x x^T, the value of a row is q + (Q - 1) / (2 (n - 1)), and V times this value in V. (With the first
    derivative alone, intervals of 200 real rows were a quarter too short.)

    :param vectors: (n, d) float32 of unit norm, n >= 1.
    :return: (n,).
    :raises ValueError: if there is no row.
    """
    n, d = vectors.shape
    if not n:
        raise ValueError("The Vendi score needs at least one row.")
    if n < d:
        wide = vectors.astype(np.float64)
        shares, own = np.linalg.eigh(wide @ wide.T / n)
        kept = shares > _NO_SHARE
        # Squared coordinates of a row along the eigenvectors of C, from those of the matrix of cosines.
        squares = iter([own[:, kept] ** 2 * (n * shares[kept])])
    else:
        matrix = np.zeros((d, d))
        for block in _blocks(vectors):
            matrix += block.T @ block
        shares, directions = np.linalg.eigh(matrix / n)
        kept = shares > _NO_SHARE
        squares = ((block @ directions[:, kept]) ** 2 for block in _blocks(vectors))
    logs, second = np.log(shares[kept]), _slopes_of_log(shares[kept])
    told = np.concatenate(
        [part @ -logs + ((part @ second) * part).sum(axis=1) / (2 * max(1, n - 1)) for part in squares]
    )
    shares = shares[kept] / shares[kept].sum()
    entropy = float(-(shares * np.log(shares)).sum())
    return np.exp(entropy) * (1 + told - told.mean())


def redundancy_pseudo_values(
    vectors: NDArray[np.float32], threshold: float = REDUNDANT_FROM, twins: NearDuplicates | None = None
) -> NDArray[np.float64]:
    """Return values of rows whose mean is the redundancy.

    Without a row, the set has one row less that may be redundant, and every row whose only twin it was is no longer
    redundant. This number is the value of a row. The resulting variance tends to be too large (Efron and Stein, The
    Jackknife Estimate of Variance, Annals of Statistics 9, 1981).

    :param vectors: (n, d) float32 of unit norm, n >= 1.
    :param threshold: cosine, exclusive.
    :param twins: near-duplicates of the rows, if they are known.
    :return: (n,).
    :raises ValueError: if there is no row.
    """
    n = len(vectors)
    if not n:
        raise ValueError("The redundancy of no rows is not defined.")
    twins = twins or near_duplicates(vectors, threshold)
    redundant = twins.counts > 0
    worth = redundant + np.bincount(twins.sole[twins.sole >= 0], minlength=n)
    return redundant.mean() + worth - worth.mean()


def effective_topic_pseudo_values(topics: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return values of rows whose mean is the effective number of topics: exp of the entropy of their shares.

    :param topics: (n,) topic of each row, n >= 1.
    :return: (n,).
    :raises ValueError: if there is no row.
    """
    if not len(topics):
        raise ValueError("The topics of no rows are not defined.")
    _, which, counts = np.unique(topics, return_inverse=True, return_counts=True)
    told = -np.log(counts / len(topics))[which]
    return np.exp(told.mean()) * (1 + told - told.mean())


def _slopes_of_log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the slope of the logarithm between every two values; 1 / value if they are nearly the same."""
    below, above = np.minimum.outer(values, values), np.maximum.outer(values, values)
    apart = above / below - 1
    near = apart < 1e-6
    return np.where(near, 1 / below, np.log1p(apart) / np.where(near, 1, above - below))


def _blocks(vectors: NDArray[np.float32]) -> Iterator[NDArray[np.float64]]:
    return (vectors[start : start + _BLOCK_ROWS].astype(np.float64) for start in range(0, len(vectors), _BLOCK_ROWS))
