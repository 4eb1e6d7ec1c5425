"""How well a set of rows represents a pool, how varied it is, and how often it repeats itself.

All measures use the cosine of unit vectors, in blocks: 50,000 rows compared with 50,000 take less than 100 MB in
addition to the vectors. Computations are in single precision, except for sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "NearDuplicates",
    "Nearest",
    "best_cosines",
    "mean_pairwise_distance",
    "near_duplicates",
    "nearest_cosines",
    "nearest_two",
    "pool_coverage",
    "redundancy",
    "vendi_score",
]

REDUNDANT_FROM = 0.9
"""Cosine above which a row counts as a repetition. This is our definition; the literature has none."""

_BLOCK_ROWS = 2_048


def pool_coverage(pool: NDArray[np.float32], chosen: NDArray[np.float32]) -> float:
    """Return the facility-location coverage of a pool: the mean, over its rows, of the best cosine to a chosen row.

    :param pool: (n, d) float32 of unit norm, n >= 1.
    :param chosen: (m, d) float32 of unit norm, m >= 1; usually, but not necessarily, rows of the pool.
    :return: a value in [-1, 1]; 1 if the whole pool is chosen.
    :raises ValueError: if either has no row.
    """
    if not len(pool) or not len(chosen):
        raise ValueError("Coverage needs at least one row in the pool and one that is chosen.")
    return _within_one(float(best_cosines(pool, chosen).mean(dtype=np.float64)))


def best_cosines(pool: NDArray[np.float32], chosen: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each pool row's cosine to the chosen row that is most similar to it.

    :param pool: (n, d) float32 of unit norm.
    :param chosen: (m, d) float32 of unit norm, m >= 1.
    :return: (n,) float32.
    """
    best = np.full(len(pool), -np.inf, dtype=np.float32)
    for start in range(0, len(chosen), _BLOCK_ROWS):
        for first in range(0, len(pool), _BLOCK_ROWS):
            columns = slice(first, first + _BLOCK_ROWS)
            cosines = chosen[start : start + _BLOCK_ROWS] @ pool[columns].T
            np.maximum(best[columns], cosines.max(axis=0), out=best[columns])
    return best


@dataclass(frozen=True)
class Nearest:
    """The nearest chosen row of each pool row, and the second nearest.

    :param best: (n,) float32, cosine to the chosen row that is most similar.
    :param row: (n,) int64, position of that row among all chosen ones; the first of equal ones.
    :param second: (n,) float32, cosine to the second nearest; -inf if only one row is chosen.
    """

    best: NDArray[np.float32]
    row: NDArray[np.int64]
    second: NDArray[np.float32]


def nearest_two(
    pool: NDArray[np.float32], chosen: NDArray[np.float32], subsets: Sequence[NDArray[np.bool_]] = ()
) -> list[Nearest]:
    """Return the two chosen rows that are most similar to each pool row.

    :param pool: (n, d) float32 of unit norm.
    :param chosen: (m, d) float32 of unit norm, m >= 1.
    :param subsets: s masks of the chosen rows, (m,) each and not empty. The result as if only these rows were chosen is
        found in the same pass.
    :return: 1 + s results: for all chosen rows, then for each subset.
    """
    n = len(pool)
    found = [
        Nearest(np.full(n, -np.inf, np.float32), np.zeros(n, np.int64), np.full(n, -np.inf, np.float32))
        for _ in range(1 + len(subsets))
    ]
    for start in range(0, len(chosen), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        # All rows come last, because finding the second nearest overwrites the cosines.
        positions = [start + np.flatnonzero(mask[rows]) for mask in (*subsets, np.ones(len(chosen), dtype=bool))]
        for first in range(0, n, _BLOCK_ROWS):
            columns = slice(first, first + _BLOCK_ROWS)
            cosines = pool[columns] @ chosen[rows].T
            for nearest, own in zip([*found[1:], found[0]], positions, strict=True):
                if len(own):
                    some = cosines if nearest is found[0] else cosines[:, own - start]
                    _take_nearer(nearest, columns, some, own)
    return found


def _take_nearer(found: Nearest, columns: slice, cosines: NDArray[np.float32], positions: NDArray[np.int64]) -> None:
    """Record rows that are nearer than all before; the cosines are overwritten."""
    own, at = np.arange(len(cosines)), cosines.argmax(axis=1)
    best = cosines[own, at]
    cosines[own, at] = -np.inf
    second = cosines.max(axis=1)
    before = found.best[columns]
    nearer = best > before
    # The second nearest of both is the better second, or the former best.
    np.maximum(np.maximum(found.second[columns], second), np.minimum(before, best), out=found.second[columns])
    found.row[columns][nearer] = positions[at[nearer]]
    np.maximum(before, best, out=found.best[columns])


def vendi_score(vectors: NDArray[np.float32], order: float = 1.0) -> float:
    """Return the Vendi score, the effective number of different rows (Friedman and Dieng, arXiv 2210.02410).

    It is the exponential of the Rényi entropy of the eigenvalues of the cosine matrix over n. The d x d matrix of the
    vectors has the same eigenvalues, so a large n costs only time.

    :param vectors: (n, d) float32 of unit norm, n >= 1.
    :param order: order of the entropy, >= 0; 1 is Shannon's, the usual one. In higher orders, rare rows count less; in
        infinity, only the largest eigenvalue counts.
    :return: a value from 1 (all rows are the same) to min(n, d) (all are orthogonal).
    :raises ValueError: if there is no row.
    """
    if not len(vectors):
        raise ValueError("The Vendi score needs at least one row.")
    n, d = vectors.shape
    if d < n:
        matrix = np.zeros((d, d), dtype=np.float64)
        for block in _blocks(vectors):
            wide = block.astype(np.float64)
            matrix += wide.T @ wide
    else:
        wide = vectors.astype(np.float64)
        matrix = wide @ wide.T
    eigenvalues = np.linalg.eigvalsh(matrix / n)
    # Rounding puts zeros slightly above or below zero; in order 0 each would count as a whole row.
    shares = eigenvalues[eigenvalues > 1e-10]
    shares = shares / shares.sum()
    if math.isinf(order):
        return float(1 / shares.max())
    if order == 1:
        return float(np.exp(-(shares * np.log(shares)).sum()))
    return float((shares**order).sum() ** (1 / (1 - order)))


def mean_pairwise_distance(vectors: NDArray[np.float32]) -> float:
    """Return the mean of 1 - cosine over all pairs of different rows, in time linear in n.

    :param vectors: (n, d) float32 of unit norm, n >= 1.
    :return: a value from 0 to 2; 0 for a single row, which has no pair.
    :raises ValueError: if there is no row.
    """
    n = len(vectors)
    if n == 0:
        raise ValueError("The mean distance of pairs needs at least one row.")
    if n == 1:
        return 0.0
    total = np.zeros(vectors.shape[1], dtype=np.float64)
    norms = 0.0
    for block in _blocks(vectors):
        wide = block.astype(np.float64)
        total += wide.sum(axis=0)
        norms += float((wide * wide).sum())
    return float(1 - (total @ total - norms) / (n * (n - 1)))


def nearest_cosines(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each row's cosine to the most similar other row.

    :param vectors: (n, d) float32 of unit norm.
    :return: (n,) float32; -infinity for a single row.
    """
    n = len(vectors)
    nearest = np.full(n, -np.inf, dtype=np.float32)
    starts = range(0, n, _BLOCK_ROWS)
    for start in starts:
        rows = slice(start, start + _BLOCK_ROWS)
        # The matrix is symmetric, so each block above the diagonal is used for its rows and its columns.
        for other in starts[start // _BLOCK_ROWS :]:
            columns = slice(other, other + _BLOCK_ROWS)
            cosines = vectors[rows] @ vectors[columns].T
            if other == start:
                np.fill_diagonal(cosines, -np.inf)
            nearest[rows] = np.maximum(nearest[rows], cosines.max(axis=1))
            nearest[columns] = np.maximum(nearest[columns], cosines.max(axis=0))
    return nearest


@dataclass(frozen=True)
class NearDuplicates:
    """The near-duplicates of the rows of a set.

    :param counts: (n,) number of other rows with a cosine above the threshold.
    :param sole: (n,) position of the other row if there is exactly one; -1 otherwise.
    """

    counts: NDArray[np.int64]
    sole: NDArray[np.int64]


def near_duplicates(vectors: NDArray[np.float32], threshold: float = REDUNDANT_FROM) -> NearDuplicates:
    """Count, for each row, the other rows that nearly repeat it.

    :param vectors: (n, d) float32 of unit norm.
    :param threshold: cosine, exclusive.
    """
    n = len(vectors)
    counts = np.zeros(n, dtype=np.int64)
    positions = np.zeros(n, dtype=np.int64)  # sum of the positions, which is the position itself if there is one
    starts = range(0, n, _BLOCK_ROWS)
    for start in starts:
        for other in starts[start // _BLOCK_ROWS :]:
            cosines = vectors[start : start + _BLOCK_ROWS] @ vectors[other : other + _BLOCK_ROWS].T
            if other == start:
                cosines[np.tril_indices(len(cosines))] = -np.inf
            first, second = (found.astype(np.int64) for found in np.nonzero(cosines > threshold))
            for one, twin in ((first + start, second + other), (second + other, first + start)):
                if len(one):
                    low, high = int(one.min()), int(one.max()) + 1
                    counts[low:high] += np.bincount(one - low, minlength=high - low)
                    sums = np.bincount(one - low, weights=twin, minlength=high - low)
                    positions[low:high] += sums.astype(np.int64)
    return NearDuplicates(counts, np.where(counts == 1, positions, -1))


def redundancy(vectors: NDArray[np.float32], threshold: float = REDUNDANT_FROM) -> float:
    """Return the share of rows whose most similar other row has a cosine above a threshold.

    :param vectors: (n, d) float32 of unit norm, n >= 1.
    :param threshold: cosine, exclusive.
    :return: a value in [0, 1]; 0 for a single row.
    :raises ValueError: if there is no row.
    """
    if not len(vectors):
        raise ValueError("The redundancy of no rows is not defined.")
    return float((nearest_cosines(vectors) > threshold).mean())


def _blocks(vectors: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(vectors), _BLOCK_ROWS):
        yield vectors[start : start + _BLOCK_ROWS]


def _within_one(value: float) -> float:
    # Rounding can make inner products of unit vectors exceed 1.
    return max(-1.0, min(1.0, value))
