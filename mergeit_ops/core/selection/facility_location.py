"""Facility location: choose rows that represent all rows (MergeIT, stage 1).

The objective is F(S) = sum over rows i of max over chosen j of sim(i, j), and 0 for the empty set. It is monotone
and submodular, so the greedy choice reaches at least (1 - 1/e) of the optimum.

It may also include quality and a target, each as a term in [0, 1] with a weight (`Terms`). For scores q of rows, k
chosen rows and the m rows t of a target,

    F(S) = (1 - a - b)/n sum_i max_j sim(i, j) + a/k sum_{j in S} q_j + b/m sum_t max_j sim(t, j)

which is monotone and submodular as well. It differs from QDIT (arXiv 2311.14736) in its scale: QDIT does not divide the
sum over rows by n, so there the effect of a weight depends on the number of rows.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import inner_products
from mergeit_ops.core.selection.coverage import Coverage
from mergeit_ops.core.selection.knapsack import better_greedy, knapsack_greedy
from mergeit_ops.core.selection.large_sets import CELL_ROWS, select_large, select_large_within
from mergeit_ops.core.selection.lazy_greedy import lazy_greedy
from mergeit_ops.core.selection.method import PARTITION_ROWS, Need, Pool, Selection, SelectionMethod
from mergeit_ops.core.selection.summaries import Summaries

Metric = Literal["cosine", "euclidean"]
METRICS: tuple[Metric, ...] = ("cosine", "euclidean")

DENSE_KERNEL_ROWS = 8_000
"""Most rows for which the whole kernel is kept in memory: 256 MB of float32."""

_SUBMODLIB_ROWS = 200  # above, our lazy greedy is faster: at 3,000 rows it takes a sixth of the time


@dataclass(frozen=True, eq=False)
class Terms:
    """The terms of the objective besides the coverage of the rows.

    :param score_weight: a, in [0, 1].
    :param scores: (n,) q, at least 0; should be in [0, 1].
    :param target_weight: b, in [0, 1]; a + b <= 1.
    :param targets: (m, d) float32 of unit norm; zero vectors count nothing.
    """

    score_weight: float = 0.0
    scores: NDArray[np.float64] | None = None
    target_weight: float = 0.0
    targets: NDArray[np.float32] | None = None

    def coverage(
        self, vectors: NDArray[np.float32], kept: float, metric: Metric, summaries: Summaries | None = None
    ) -> Coverage:
        """Return n times the objective as a `Coverage`.

        :param vectors: (n, d) float32 of unit norm.
        :param kept: k, number of rows that are kept in the end.
        :param metric: see `similarity`.
        :param summaries: groups of the n rows to cover, if these are not the rows to choose from.
        """

        def kernel(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
            return similarity(a, b, metric)

        n = len(vectors) if summaries is None else int(summaries.rows.sum())
        own_weight = max(0.0, 1.0 - self.score_weight - self.target_weight)
        bonus = None
        if self.score_weight:
            assert self.scores is not None
            bonus = self.score_weight * n / kept * self.scores
        targets = self.targets if self.target_weight else None
        weight = 0.0 if targets is None else self.target_weight * n / len(targets)
        if summaries is None or not own_weight:
            return Coverage(vectors, kernel, own_weight, bonus, targets, weight)
        points, weights = summaries.directions
        weights *= own_weight
        if targets is not None:
            points = np.concatenate([points, targets])
            weights = np.concatenate([weights, np.full(len(targets), weight, dtype=np.float32)])
        return Coverage(vectors, kernel, 0.0, bonus, points, weights)


COVERAGE_ALONE = Terms()


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
    # Squared norms are used, although rows have unit norm up to rounding, because near-duplicates need the exact
    # difference.
    squared = (a * a).sum(1)[:, None] + (b * b).sum(1)[None, :] - 2 * inner
    return np.exp(-np.sqrt(np.maximum(squared, 0)) / a.shape[1], dtype=np.float32)


def objective(
    vectors: NDArray[np.float32],
    chosen: NDArray[np.int64],
    metric: Metric = "cosine",
    terms: Terms = COVERAGE_ALONE,
) -> float:
    """Return F of a chosen set, times n; a row whose best similarity is negative adds 0.

    :param vectors: (n, d) float32 of unit norm.
    :param chosen: positions of the chosen rows.
    :param metric: see `similarity`.
    :param terms: terms besides coverage; k is the number of chosen rows.
    """
    return terms.coverage(vectors, max(1, len(chosen)), metric).worth(chosen)


def select(
    vectors: NDArray[np.float32],
    budget: int,
    metric: Metric = "cosine",
    dense_rows: int = DENSE_KERNEL_ROWS,
    terms: Terms = COVERAGE_ALONE,
    kept: float | None = None,
    summaries: Summaries | None = None,
) -> Selection:
    """Choose `budget` rows greedily by marginal gain.

    submodlib runs the greedy algorithm if it is installed, rows are few and only coverage counts; otherwise
    `lazy_greedy` does. Both reach the same objective, except for the order of ties. For more than `dense_rows` rows the
    whole kernel is never in memory, and the objective stays within about 1 % of the exact greedy's; see `large_sets`.

    :param vectors: (n, d) float32 of unit norm.
    :param budget: rows to choose, 0 <= budget <= n. Rows that add nothing are still chosen to fill the budget.
    :param metric: see `similarity`.
    :param dense_rows: most rows for which the whole kernel is kept in memory, in 4 * n^2 bytes.
    :param terms: terms besides coverage.
    :param kept: number of rows that are kept in the end, if it is not the budget.
    :param summaries: see `Terms.coverage`.
    :return: the chosen rows, best first, and n times what each adds to F.
    """
    n = len(vectors)
    budget = min(budget, n)
    if budget == 0:
        return Selection(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float64))
    coverage = terms.coverage(vectors, budget if kept is None else kept, metric, summaries)
    if n > dense_rows or n * (coverage.points - n) > dense_rows**2:
        return Selection(*select_large(coverage, budget, min(dense_rows, CELL_ROWS)))
    kernel = coverage.whole_kernel()
    if terms is COVERAGE_ALONE and summaries is None:
        return greedy(kernel, budget)
    return lazy_greedy(kernel, budget, coverage.bonus)


def select_within(
    vectors: NDArray[np.float32],
    costs: NDArray[np.int64],
    limit: int,
    metric: Metric = "cosine",
    dense_rows: int = DENSE_KERNEL_ROWS,
    terms: Terms = COVERAGE_ALONE,
    kept: float = 1.0,
    summaries: Summaries | None = None,
) -> Selection:
    """Choose rows whose costs fit into a budget: the better of the greedy choices by gain and by gain per cost.

    :param vectors: (n, d) float32 of unit norm.
    :param costs: (n,) cost of each row, at least 1.
    :param limit: most costs of the chosen rows together.
    :param metric: see `similarity`.
    :param dense_rows: see `select`.
    :param terms: terms besides coverage.
    :param kept: approximate number of rows that are kept in the end.
    :param summaries: see `Terms.coverage`.
    :return: the chosen rows, best first, and n times what each adds to F.
    """
    n = len(vectors)
    coverage = terms.coverage(vectors, kept, metric, summaries)
    if n > dense_rows or n * (coverage.points - n) > dense_rows**2:
        return select_large_within(coverage, costs, limit, min(dense_rows, CELL_ROWS))
    kernel = coverage.whole_kernel()
    return better_greedy(lambda per_cost: knapsack_greedy(kernel, costs, limit, coverage.bonus, per_cost))


def greedy(kernel: NDArray[np.float32], budget: int) -> Selection:
    """Choose rows greedily with a given kernel, by submodlib or `lazy_greedy`, whichever is faster.

    :param kernel: (n, n) similarities, symmetric.
    :param budget: rows to choose, 0 < budget <= n.
    """
    # submodlib refuses a budget that takes every row.
    if len(kernel) <= _SUBMODLIB_ROWS and budget < len(kernel) and submodlib_available():
        return _submodlib_greedy(kernel, budget)
    return lazy_greedy(kernel, budget)


@lru_cache(maxsize=1)
def submodlib_available() -> bool:
    """Return whether submodlib works here; its wheels exist for Linux x86-64 and macOS arm64 only."""
    try:
        _submodlib_greedy(np.eye(2, dtype=np.float32), 1)
    except (ImportError, AttributeError):
        # submodlib 0.0.3 reads scipy.sparse.csr, a namespace that SciPy 2 removes.
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
    """Rows that represent all rows, by embeddings; optionally good rows, and rows that represent a target.

    :param metric: see `similarity`.
    :param score_weight: see `Terms`.
    :param target_weight: see `Terms`.
    :param partition_rows: see `most_rows` of `SelectionMethod`.
    """

    metric: Metric = "cosine"
    score_weight: float = 0.0
    target_weight: float = 0.0
    partition_rows: int | None = PARTITION_ROWS

    selected: ClassVar[str] = "the most representative"
    in_partitions: ClassVar[str] = (
        "It chooses in each of them, and then among the chosen, with an objective 1 or 2 % below that of a choice "
        "from all samples at once"
    )

    @property
    def needs(self) -> frozenset[Need]:
        """Return which parts of the pool must be filled: those with a weight."""
        weights: dict[Need, float] = {"vectors": 1.0, "scores": self.score_weight, "targets": self.target_weight}
        return frozenset(name for name, weight in weights.items() if weight)

    @property
    def most_rows(self) -> int | None:
        """See `SelectionMethod`."""
        return self.partition_rows

    def select(self, pool: Pool, budget: int) -> Selection:
        """Choose greedily; see `select`."""
        terms, summaries = self._terms(pool), pool.summaries
        return select(pool.vectors, budget, self.metric, terms=terms, kept=pool.kept, summaries=summaries)

    def select_within(self, pool: Pool, costs: NDArray[np.int64], tokens: int) -> Selection:
        """Choose greedily by gain, and by gain per token, and take the better choice; see `select_within`."""
        kept = max(1.0, tokens / float(costs.mean())) if pool.kept is None else pool.kept
        terms, summaries = self._terms(pool), pool.summaries
        return select_within(pool.vectors, costs, tokens, self.metric, terms=terms, kept=kept, summaries=summaries)

    def _terms(self, pool: Pool) -> Terms:
        if self.needs == {"vectors"}:
            return COVERAGE_ALONE
        return Terms(self.score_weight, pool.scores, self.target_weight, pool.targets)

    def note(self, rows: int, budget: int) -> str:
        """Return a note if the selection is not the exact greedy's."""
        if rows <= DENSE_KERNEL_ROWS or budget >= rows:
            return ""
        return (
            f"{rows:,} samples are too many for a matrix of all similarities; {budget:,} are chosen by cells and "
            "nearest neighbours, with an objective within about 1 % of the exact greedy's."
        )
