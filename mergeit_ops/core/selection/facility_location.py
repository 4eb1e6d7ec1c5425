"""Facility location: choose rows that represent all rows (MergeIT, stage 1).

The objective is F(S) = sum over rows i of max over chosen j of sim(i, j), and 0 for the empty set. It is monotone
and submodular, so the greedy choice reaches at least (1 - 1/e) of the optimum.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import inner_products
from mergeit_ops.core.selection.large_sets import CELL_ROWS, select_large
from mergeit_ops.core.selection.lazy_greedy import lazy_greedy
from mergeit_ops.core.selection.method import Pool, Selection, SelectionMethod

Metric = Literal["cosine", "euclidean"]
METRICS: tuple[Metric, ...] = ("cosine", "euclidean")

DENSE_KERNEL_ROWS = 8_000
"""Rows up to which the kernel is held whole: 256 MB of float32."""

_SUBMODLIB_ROWS = 200  # above, the lazy greedy here is through before it, at 3,000 rows in a sixth of the time
_BLOCK_ROWS = 2_048


def similarity(a: NDArray[np.float32], b: NDArray[np.float32], metric: Metric) -> NDArray[np.float32]:
    """Return the similarity of every row of `a` to every row of `b`.

    :param a: (n, d) float32 of unit norm.
    :param b: (m, d) float32 of unit norm.
    :param metric: `cosine`: the inner product, in [-1, 1]. `euclidean`: exp(-distance / d), the kernel of submodlib;
        with 384 dimensions it lies in [0.9948, 1].
    :return: (n, m) float32.
    """
    inner = inner_products(a, b)
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
    objective stays within about a percent of theirs; see `large_sets`.

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
            *select_large(vectors, budget, lambda a, b: similarity(a, b, metric), min(dense_rows, CELL_ROWS))
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


@dataclass(frozen=True)
class FacilityLocation(SelectionMethod):
    """Rows that represent all rows, by embeddings.

    :param metric: see `similarity`.
    """

    metric: Metric = "cosine"

    selected: ClassVar[str] = "the most representative"

    def select(self, pool: Pool, budget: int) -> Selection:
        """Choose greedily; see `select`."""
        return select(pool.vectors, budget, self.metric)

    def note(self, rows: int, budget: int) -> str:
        """Tell where the choice is not the exact greedy's."""
        if rows <= DENSE_KERNEL_ROWS or budget >= rows:
            return ""
        return (
            f"{rows:,} samples are too many for a matrix of all similarities; {budget:,} are chosen by cells and "
            "nearest neighbours, with an objective within about 1 % of the exact greedy's."
        )
