"""Facility location that counts quality and a target: golden values, the guarantee, and the large sets."""

from itertools import combinations

import numpy as np
import pytest

from mergeit_ops.core.selection.facility_location import FacilityLocation, Terms, objective, select
from mergeit_ops.core.selection.method import Pool
from tests.core.selection.test_facility_location import X6, clustered_vectors, unit_vectors

# Scores 6, 8, 4, 4, 4, 5 by min-max.
Q6 = np.array([0.5, 1, 0, 0, 0, 0.25])
LEFT_AND_DOWN = np.array([(0, -1), (-1, 0)], dtype=np.float32)


@pytest.mark.parametrize(
    ("terms", "budget", "rows", "gains"),
    [
        (Terms(0.3, Q6), 4, [1, 3, 4, 0], None),
        (Terms(0.5, Q6), 4, [1, 0, 3, 4], [0.405, 0.095833, 0.083333, 0.083333]),
        (Terms(0.8, Q6), 4, [1, 0, 5, 3], [0.312, 0.113333, 0.051333, 0.033333]),
        (Terms(0.0, None, 0.5, LEFT_AND_DOWN), 2, [3, 4], [0.333333, 0.333333]),
        (Terms(0.2, Q6, 0.4, LEFT_AND_DOWN), 3, [1, 3, 4], [0.290667, 0.266667, 0.266667]),
    ],
)
def test_rows_and_gains_are_the_golden_ones(terms, budget, rows, gains):
    selection = select(X6, budget, terms=terms)
    assert selection.indices.tolist() == rows
    if gains is not None:
        np.testing.assert_allclose(selection.gains / 6, gains, atol=1e-6)
        assert objective(X6, selection.indices, terms=terms) / 6 == pytest.approx(sum(gains), abs=1e-5)


def test_with_quality_alone_the_best_rows_are_chosen():
    assert select(X6, 4, terms=Terms(1.0, Q6)).indices.tolist() == [1, 0, 5, 2]


def test_weights_of_zero_choose_what_coverage_alone_does():
    vectors = unit_vectors(300)
    alone = FacilityLocation().select(Pool(vectors), 60)
    scores = np.random.default_rng(0).random(300)
    weighed = FacilityLocation("cosine", 0.0, 0.0).select(Pool(vectors, scores, targets=vectors[:5]), 60)
    np.testing.assert_array_equal(weighed.indices, alone.indices)
    np.testing.assert_array_equal(weighed.gains, alone.gains)


def random_terms(n: int, width: int, seed: int, weights: tuple[float, float]) -> Terms:
    rng = np.random.default_rng(100 + seed)
    return Terms(weights[0], rng.random(n), weights[1], unit_vectors(5, width, 50 + seed))


ALL_WEIGHTS = [(0.5, 0.0), (0.0, 0.5), (0.3, 0.3), (0.0, 1.0), (0.9, 0.1)]


@pytest.mark.parametrize("weights", ALL_WEIGHTS)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("n", "budget"), [(6, 2), (8, 3), (10, 4)])
def test_greedy_reaches_its_guaranteed_share_of_the_optimum(n, budget, seed, weights):
    vectors = unit_vectors(n, 4, seed)
    terms = random_terms(n, 4, seed, weights)
    best = max(objective(vectors, np.array(chosen), terms=terms) for chosen in combinations(range(n), budget))
    assert objective(vectors, select(vectors, budget, terms=terms).indices, terms=terms) >= (1 - 1 / np.e) * best


@pytest.mark.parametrize("weights", ALL_WEIGHTS)
def test_the_lazy_choice_is_that_of_a_greedy_that_computes_every_gain(weights):
    vectors = unit_vectors(40, 6)
    terms = random_terms(40, 6, 0, weights)
    worth = terms.coverage(vectors, 10, "cosine").worth
    selection = select(vectors, 10, terms=terms)
    chosen: list[int] = []
    for row, gain in zip(selection.indices.tolist(), selection.gains.tolist(), strict=True):
        before = worth(np.array(chosen, dtype=np.int64))
        gains = [worth(np.array([*chosen, other])) - before for other in range(40) if other not in chosen]
        assert gain == pytest.approx(max(gains), abs=1e-4)
        chosen.append(row)
    assert selection.gains.sum() == pytest.approx(objective(vectors, selection.indices, terms=terms), rel=1e-5)
    assert (np.diff(selection.gains) <= 1e-4).all()


def test_the_price_of_quality_is_that_of_the_rows_kept_in_the_end():
    """More rows are put in order than are kept if a budget is split by gain."""
    terms = Terms(0.5, Q6)
    in_order = select(X6, 6, terms=terms, kept=4)
    np.testing.assert_array_equal(in_order.indices[:4], select(X6, 4, terms=terms).indices)
    np.testing.assert_allclose(in_order.gains[:4], select(X6, 4, terms=terms).gains)


@pytest.mark.parametrize(
    ("metric", "weights"),
    [
        ("cosine", (0.5, 0.0)),
        ("cosine", (0.0, 0.5)),
        ("cosine", (0.3, 0.3)),
        ("cosine", (0.9, 0.0)),
        ("cosine", (0.0, 1.0)),
        ("cosine", (1.0, 0.0)),
        ("euclidean", (0.3, 0.3)),
    ],
)
@pytest.mark.parametrize("budget", [7, 120, 400, 1_200])
def test_too_many_rows_for_a_kernel_reach_the_objective_to_within_a_percent(budget, weights, metric):
    vectors = clustered_vectors(2_000)
    rng = np.random.default_rng(1)
    # Quality lies in one region, and the target at its edge: neither is spread as the rows are.
    scores = np.clip((vectors @ vectors[3]) + 0.2 * rng.normal(size=2_000), 0, 1)
    target = vectors[:40] + 0.3 * rng.normal(size=(40, 24))
    target = (target / np.linalg.norm(target, axis=1, keepdims=True)).astype(np.float32)
    terms = Terms(weights[0], scores, weights[1], target)
    exact = select(vectors, budget, metric, terms=terms)
    large = select(vectors, budget, metric, dense_rows=400, terms=terms)
    assert len(set(large.indices.tolist())) == budget
    reached, best = (objective(vectors, chosen.indices, metric, terms) for chosen in (large, exact))
    assert reached >= 0.99 * best
    # Few rows are judged by a sample of all, whose gains are estimates.
    assert large.gains.sum() == pytest.approx(reached, rel=0.02)


def test_a_target_larger_than_the_rows_is_covered_too():
    vectors, target = clustered_vectors(200), clustered_vectors(4_000, seed=3)
    terms = Terms(target_weight=0.7, targets=target)
    exact = select(vectors, 40, terms=terms)
    large = select(vectors, 40, dense_rows=300, terms=terms)
    assert objective(vectors, large.indices, terms=terms) >= 0.99 * objective(vectors, exact.indices, terms=terms)
