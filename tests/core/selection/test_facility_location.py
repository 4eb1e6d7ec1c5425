"""Facility location: golden values, and two implementations that must agree."""

from itertools import combinations

import numpy as np
import pytest

from mergeit_ops.core.selection.coverage import Coverage
from mergeit_ops.core.selection.facility_location import objective, select, similarity, submodlib_available
from mergeit_ops.core.selection.large_sets import select_large
from mergeit_ops.core.selection.lazy_greedy import lazy_greedy

X6 = np.array([(1, 0), (0.6, 0.8), (0, 1), (-1, 0), (0, -1), (0.8, 0.6)], dtype=np.float32)
DUPLICATES = np.array([(1, 0)] * 3 + [(0, 1)] * 2, dtype=np.float32)


def unit_vectors(n: int, width: int = 16, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_euclidean_kernel_is_exp_of_minus_distance_over_dimensions():
    expected = [1, 0.6394, 0.4931, 0.3679, 0.4931, 0.7289]
    np.testing.assert_allclose(similarity(X6, X6, "euclidean")[0], expected, atol=5e-5)


@pytest.mark.parametrize(
    ("vectors", "metric", "gains", "total"),
    [
        (X6, "euclidean", [4.032516, 0.696976, 0.506931, 0.360593], 5.597017),
        (X6, "cosine", [3.36, 1.00, 1.00, 0.40], 5.76),
        (DUPLICATES, "euclidean", [3.98614, 1.01386, 0, 0], 5.0),
    ],
)
def test_gains_and_objective_are_the_golden_ones(vectors, metric, gains, total):
    for selection in (
        select(vectors, 4, metric),
        lazy_greedy(similarity(vectors, vectors, metric), 4),
    ):
        np.testing.assert_allclose(selection.gains, gains, atol=2e-5)
        assert objective(vectors, selection.indices, metric) == pytest.approx(total, abs=2e-5)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_ties_go_to_the_lowest_index_without_submodlib(metric):
    # Whole numbers, so that mirror images tie exactly.
    kernel = np.rint(similarity(X6, X6, metric) * 1e4)
    assert lazy_greedy(kernel, 4).indices.tolist() == [1, 3, 4, 0]


@pytest.mark.skipif(not submodlib_available(), reason="submodlib has no wheel for this platform")
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("n", [7, 60, 300])
def test_submodlib_and_the_numpy_greedy_reach_the_same_objective(n, metric):
    vectors = unit_vectors(n, seed=n)
    budget = max(1, n // 5)
    with_submodlib = objective(vectors, select(vectors, budget, metric).indices, metric)
    without = objective(vectors, lazy_greedy(similarity(vectors, vectors, metric), budget).indices, metric)
    assert with_submodlib == pytest.approx(without, rel=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_greedy_reaches_its_guaranteed_share_of_the_optimum(seed):
    vectors = unit_vectors(8, width=4, seed=seed)
    best = max(objective(vectors, np.array(chosen)) for chosen in combinations(range(8), 3))
    assert objective(vectors, select(vectors, 3).indices) >= (1 - 1 / np.e) * best


def test_gains_never_rise_and_sum_to_the_objective():
    vectors = unit_vectors(120)
    selection = lazy_greedy(similarity(vectors, vectors, "cosine"), 40)
    assert (np.diff(selection.gains) <= 1e-4).all()
    assert selection.gains.sum() == pytest.approx(objective(vectors, selection.indices), rel=1e-5)


def test_lazy_and_naive_greedy_have_equal_gains():
    vectors = unit_vectors(50)
    kernel = np.maximum(similarity(vectors, vectors, "cosine"), 0)
    covered, gains = np.zeros(50), []
    for _ in range(10):
        candidates = np.maximum(kernel - covered[:, None], 0).sum(axis=0)
        gains.append(candidates.max())
        covered = np.maximum(covered, kernel[:, candidates.argmax()])
    np.testing.assert_allclose(lazy_greedy(kernel, 10).gains, gains, rtol=1e-5)


@pytest.mark.parametrize("budget", [0, 1, 6, 99])
def test_budget_is_filled_without_repeats_and_never_exceeds_the_rows(budget):
    indices = select(X6, budget).indices.tolist()
    assert len(indices) == len(set(indices)) == min(budget, 6)


def test_one_row_is_chosen_whatever_the_metric():
    assert select(X6[:1], 1, "euclidean").indices.tolist() == [0]


def clustered_vectors(n: int, seed: int = 0) -> np.ndarray:
    """Rows around directions of very different weight, as topics are."""
    rng = np.random.default_rng(seed)
    centres = unit_vectors(12, 24, seed)
    vectors = centres[np.minimum(rng.geometric(0.25, n) - 1, 11)] + 0.25 * rng.normal(size=(n, 24))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("budget", [1, 7, 60, 300, 600, 1_500, 2_999])
def test_too_many_rows_for_a_kernel_reach_the_objective_to_within_a_percent(budget, metric):
    vectors = clustered_vectors(3_000)
    exact = lazy_greedy(similarity(vectors, vectors, metric), budget)
    large = select(vectors, budget, metric, dense_rows=500)
    assert len(set(large.indices.tolist())) == budget
    assert objective(vectors, large.indices, metric) >= 0.99 * objective(vectors, exact.indices, metric)


def test_searching_only_the_nearest_cells_costs_less_than_a_percent_too():
    vectors = clustered_vectors(3_000)
    exact = lazy_greedy(similarity(vectors, vectors, "cosine"), 600)
    indices, _ = select_large(Coverage(vectors, kernel), 600, cell_rows=100, searched_rows=400)
    assert objective(vectors, indices) >= 0.99 * objective(vectors, exact.indices)


def test_a_selection_from_too_many_rows_for_a_kernel_is_the_same_each_time():
    vectors = clustered_vectors(2_000)
    first, again = (select(vectors, 500, dense_rows=400) for _ in range(2))
    np.testing.assert_array_equal(first.indices, again.indices)
    assert first.gains.sum() == pytest.approx(objective(vectors, first.indices), rel=1e-5)


def test_rows_that_are_all_alike_are_chosen_from_too():
    vectors = np.tile(X6[:1], (3_000, 1))
    for budget in (1, 400, 2_999):
        assert len(set(select(vectors, budget, dense_rows=500).indices.tolist())) == budget


class Kernel(np.ndarray):
    """Similarities that count how many of them are read again for gains."""

    read = 0

    def __getitem__(self, key):
        found = np.asarray(super().__getitem__(key))
        if isinstance(key, np.ndarray):
            Kernel.read += found.size
        return found


def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return similarity(a, b, "cosine").view(Kernel)


def hard_shapes(n: int) -> dict[str, np.ndarray]:
    """Rows of which many gains are nearly the same, or which few choices cover."""
    rng = np.random.default_rng(0)
    one, outliers = unit_vectors(1, 32, 1), unit_vectors(n // 10, 32, 2)

    def around(centres: np.ndarray, noise: float) -> np.ndarray:
        vectors = centres + noise * rng.normal(size=centres.shape)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    most = np.repeat(one, n - len(outliers), axis=0)
    return {
        "one vector": np.repeat(one, n, axis=0),
        "one vector and outliers": np.concatenate([most, outliers]),
        "a very dense cluster and outliers": np.concatenate([around(most, 1e-4), outliers]),
        "a dense cluster and outliers": np.concatenate([around(most, 1e-2), outliers]),
        "a core and a wide halo": np.concatenate(
            [around(most[: n // 2], 1e-3), around(np.repeat(one, n - n // 2, axis=0), 0.3)]
        ),
        "two clusters": around(unit_vectors(2, 32, 3)[rng.integers(0, 2, n)], 0.02),
        "no clusters": unit_vectors(n, 32, 4),
        "duplicates": np.repeat(unit_vectors(n // 20, 32, 5), 20, axis=0),
    }


@pytest.mark.parametrize("shape", list(hard_shapes(100)))
def test_a_large_selection_does_little_more_work_than_the_exact_greedy_whatever_the_rows(shape):
    vectors = hard_shapes(3_000)[shape]
    n, budget = len(vectors), 600
    computed = 0

    def counted(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        nonlocal computed
        computed += len(a) * len(b)
        return kernel(a, b)

    Kernel.read = 0
    exact = lazy_greedy(kernel(vectors, vectors), budget)
    read_by_exact, Kernel.read = Kernel.read, 0
    indices, _ = select_large(Coverage(vectors, counted), budget, cell_rows=500)
    # The exact greedy computes each similarity once and reads it once before its first choice.
    assert computed + Kernel.read <= 1.5 * (2 * n * n + read_by_exact)
    assert objective(vectors, indices) >= 0.99 * objective(vectors, exact.indices)
