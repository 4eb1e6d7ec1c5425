"""Facility location: choose rows that represent all rows (MergeIT, stage 1).

The objective is F(S) = sum over rows i of max over chosen j of sim(i, j), and 0 for the empty set. It is monotone
and submodular, so the greedy choice reaches at least (1 - 1/e) of the optimum.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.large_selection import CELL_ROWS, select_large

Metric = Literal["cosine", "euclidean"]
METRICS: tuple[Metric, ...] = ("cosine", "euclidean")

DENSE_KERNEL_ROWS = 8_000
"""Rows up to which the kernel is held whole: 256 MB of float32."""

_SUBMODLIB_ROWS = 200  # above, the lazy greedy here is through before it, at 3,000 rows in a sixth of the time
_BLOCK_ROWS = 2_048
_AT_ONCE = 16  # gains recomputed together; most often the first few settle it


@dataclass(frozen=True)
class Selection:
    """Rows chosen by the greedy, best first.

    :param indices: (budget,) int64 row positions in the order they were chosen.
    :param gains: (budget,) float64 marginal gains, never rising; their sum is F.
    """

    indices: NDArray[np.int64]
    gains: NDArray[np.float64]


def similarity(a: NDArray[np.float32], b: NDArray[np.float32], metric: Metric) -> NDArray[np.float32]:
    """Return the similarity of every row of `a` to every row of `b`.

    :param a: (n, d) float32 of unit norm.
    :param b: (m, d) float32 of unit norm.
    :param metric: `cosine`: the inner product, in [-1, 1]. `euclidean`: exp(-distance / d), the kernel of submodlib;
        with 384 dimensions it lies in [0.9948, 1].
    :return: (n, m) float32.
    """
    inner = a @ b.T
    if metric == "cosine":
        return inner
    # Squared norms are kept although rows are of unit norm up to rounding: near-duplicates need the exact difference.
    squared = (a * a).sum(1)[:, None] + (b * b).sum(1)[None, :] - 2 * inner
    return np.exp(-np.sqrt(np.maximum(squared, 0)) / a.shape[1], dtype=np.float32)


def objective(vectors: NDArray[np.float32], chosen: NDArray[np.int64], metric: Metric = "cosine") -> float:
    """Return F of a chosen set; a row whose best similarity is negative adds 0.

    :param vectors: (n, d) float32 of unit norm.
    :param chosen: positions of the chosen rows.
    :param metric: see `similarity`.
    """
    if len(chosen) == 0:
        return 0.0
    representatives = vectors[chosen]
    best = [
        similarity(vectors[start : start + _BLOCK_ROWS], representatives, metric).max(axis=1)
        for start in range(0, len(vectors), _BLOCK_ROWS)
    ]
    return float(np.maximum(np.concatenate(best), 0).sum(dtype=np.float64))


def select(
    vectors: NDArray[np.float32], budget: int, metric: Metric = "cosine", dense_rows: int = DENSE_KERNEL_ROWS
) -> Selection:
    """Choose `budget` rows greedily by marginal gain.

    submodlib does the greedy work where it is installed and the rows are few; `lazy_greedy` does elsewhere. Both reach
    the same objective up to the order of ties. For more than `dense_rows` rows the kernel is never held whole, and the
    objective stays within about a percent of theirs; see `large_selection`.

    :param vectors: (n, d) float32 of unit norm.
    :param budget: rows to choose, 0 <= budget <= n. Rows that add nothing are still chosen to fill the budget.
    :param metric: see `similarity`.
    :param dense_rows: rows up to which the kernel is held whole, in 4 * n^2 bytes.
    :return: the chosen rows, best first.
    """
    n = len(vectors)
    budget = min(budget, n)
    if budget == 0:
        return Selection(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float64))
    if n > dense_rows:
        return Selection(
            *select_large(
                vectors, budget, lambda a, b: similarity(a, b, metric), lazy_greedy, min(dense_rows, CELL_ROWS)
            )
        )
    return greedy(similarity(vectors, vectors, metric), budget)


def greedy(kernel: NDArray[np.float32], budget: int) -> Selection:
    """Choose rows greedily on a ready kernel, by submodlib or by `lazy_greedy`, whichever is the faster.

    :param kernel: (n, n) similarities, symmetric.
    :param budget: rows to choose, 0 < budget <= n.
    """
    # submodlib refuses a budget that takes every row.
    if len(kernel) <= _SUBMODLIB_ROWS and budget < len(kernel) and submodlib_available():
        return _submodlib_greedy(kernel, budget)
    return lazy_greedy(kernel, budget)


def lazy_greedy(similarities: NDArray[np.float32], budget: int) -> Selection:
    """Choose rows by lazy greedy: a gain is recomputed only while its stale upper bound may be the highest.

    Gains never rise as the set grows, so the highest fresh gain that tops all stale ones is the greedy choice. The rows
    with the highest bounds are recomputed together, which takes NumPy hardly longer than one. Ties go to the lowest
    position.

    :param similarities: (m, n) of the m rows that may be chosen to the n that are to be covered; for a choice among
        all rows the symmetric kernel.
    :param budget: rows to choose, 0 <= budget <= m.
    """
    gains = np.array([np.maximum(row, 0).sum(dtype=np.float64) for row in similarities])
    covered = np.zeros(similarities.shape[1], dtype=np.float32)
    indices = np.empty(budget, dtype=np.int64)
    chosen_gains = np.empty(budget, dtype=np.float64)
    for step in range(budget):
        # Against the empty set all are fresh; later, a bound of 0 is a gain of 0.
        best, at_once = (np.finfo(np.float64).tiny, _AT_ONCE) if step else (np.inf, 0)
        stale = gains.copy()
        while stale.max() >= best:
            top = np.argpartition(stale, -at_once)[-at_once:] if at_once < len(stale) else np.arange(len(stale))
            top = top[stale[top] >= best]
            fresh = similarities[top]
            fresh -= covered
            gains[top] = np.maximum(fresh, 0, out=fresh).sum(axis=1)
            stale[top] = -np.inf
            best = max(best, gains[top].max())
            at_once *= 2
        indices[step] = j = int(gains.argmax())
        chosen_gains[step] = gains[j]
        gains[j] = -np.inf
        np.maximum(covered, similarities[j], out=covered)
    return Selection(indices, chosen_gains)


@lru_cache(maxsize=1)
def submodlib_available() -> bool:
    """Tell whether submodlib works here; its wheels exist for Linux x86-64 and macOS arm64 only."""
    try:
        _submodlib_greedy(np.eye(2, dtype=np.float32), 1)
    except (ImportError, AttributeError):
        # submodlib 0.0.3 reads scipy.sparse.csr, a namespace that SciPy 2 takes away.
        return False
    return True


def _submodlib_greedy(kernel: NDArray[np.float32], budget: int) -> Selection:
    from submodlib import FacilityLocationFunction

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        function = FacilityLocationFunction(n=len(kernel), mode="dense", separate_rep=False, sijs=kernel)
    chosen = function.maximize(
        budget=budget,
        optimizer="LazyGreedy",
        stopIfZeroGain=False,
        stopIfNegativeGain=False,
        show_progress=False,
    )
    indices, gains = zip(*chosen, strict=True)
    return Selection(np.asarray(indices, dtype=np.int64), np.asarray(gains, dtype=np.float64))
