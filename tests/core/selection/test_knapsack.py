"""Facility location within a budget of costs: the guarantee of the better greedy, and the large-set path."""

from itertools import combinations

import numpy as np
import pytest

from mergeit_ops.core.selection.facility_location import COVERAGE_ALONE, Terms, objective, select_within, similarity
from mergeit_ops.core.selection.knapsack import knapsack_greedy
from tests.core.selection.test_facility_location import X6, unit_vectors


def test_the_gain_per_token_prefers_a_short_row_and_the_gain_a_long_one():
    # By hand: row 0 gains 2.4 and row 1 gains 3.36; after row 0, row 1 still gains .4 + .8 + .16.
    costs = np.array([1, 3, 9, 9, 9, 9])
    by_cost = knapsack_greedy(similarity(X6, X6, "cosine"), costs, 4, per_cost=True)
    by_gain = knapsack_greedy(similarity(X6, X6, "cosine"), costs, 3, per_cost=False)
    assert by_cost.indices.tolist() == [0, 1]
    np.testing.assert_allclose(by_cost.gains, [2.4, 1.36], atol=1e-6)
    assert by_gain.indices.tolist() == [1]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("weighted", [False, True])
def test_the_better_greedy_reaches_its_share_of_the_optimum(seed, weighted):
    rng = np.random.default_rng(seed)
    vectors, costs, limit = unit_vectors(9, 3, seed), rng.integers(1, 9, 9), 14
    terms = Terms(0.4, rng.random(9)) if weighted else COVERAGE_ALONE
    kept = 3.0

    def worth(rows):
        return terms.coverage(vectors, kept, "cosine").worth(np.asarray(rows, dtype=np.int64))

    sets = (rows for size in range(1, 10) for rows in combinations(range(9), size) if costs[list(rows)].sum() <= limit)
    optimum = max(worth(rows) for rows in sets)
    chosen = select_within(vectors, costs, limit, terms=terms, kept=kept)
    assert costs[chosen.indices].sum() <= limit
    assert chosen.gains.sum() == pytest.approx(worth(chosen.indices), rel=1e-5)
    assert worth(chosen.indices) >= (1 - 1 / np.e) / 2 * optimum - 1e-6


@pytest.mark.parametrize("tokens", [400, 20_000])
def test_a_large_set_reaches_the_objective_of_the_exact_choice_within_a_percent(tokens):
    rng = np.random.default_rng(1)
    centres = unit_vectors(60, seed=5)
    vectors = centres[rng.integers(60, size=2_500)] + 0.25 * rng.normal(size=(2_500, 16)).astype(np.float32)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    costs = rng.integers(1, 200, 2_500)
    exact = select_within(vectors, costs, tokens)
    large = select_within(vectors, costs, tokens, dense_rows=600)
    assert costs[large.indices].sum() <= tokens
    assert objective(vectors, large.indices) >= 0.99 * objective(vectors, exact.indices)
