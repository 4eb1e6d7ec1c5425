"""Groups of rows that stand for their rows when a choice is judged."""

import numpy as np
import pytest

from mergeit_ops.core.selection.facility_location import FacilityLocation, Terms, objective, select
from mergeit_ops.core.selection.method import Pool
from mergeit_ops.core.selection.summaries import Summaries, nearest
from tests.core.selection.toys import X6, directions


def test_golden_sums_of_six_directions_around_two():
    groups = Summaries.of_rows(X6).around(X6[[0, 2]])
    # (0.6, 0.8) and (0, 1) are nearer to (0, 1); (-1, 0) and (0, -1): to (0, 1) with 0, and to (1, 0) with 0.
    np.testing.assert_allclose(groups.sums, [(1.8, -0.4), (-0.4, 1.8)], atol=1e-6)
    assert groups.rows.tolist() == [3, 3]
    units, norms = groups.directions
    np.testing.assert_allclose(np.linalg.norm(units, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(units * norms[:, None], groups.sums, rtol=1e-6)


def test_no_row_is_lost_when_groups_are_joined_again():
    vectors = directions(300, 8)
    groups = Summaries.of_rows(vectors).around(vectors[::5]).around(vectors[::50])
    assert groups.rows.sum() == 300
    np.testing.assert_allclose(groups.sums.sum(axis=0), vectors.sum(axis=0), atol=1e-3)
    assert len(Summaries.of_rows(vectors[:0]).around(vectors[:3]).sums) == 3


@pytest.mark.parametrize("count", [1, 3, 300])
def test_the_nearest_head_is_found_whatever_the_block(count, monkeypatch):
    vectors = directions(300, 8)
    whole = (vectors @ vectors[:count].T).argmax(axis=1)
    monkeypatch.setattr("mergeit_ops.core.selection.summaries._BLOCK_ENTRIES", 700)
    np.testing.assert_array_equal(nearest(vectors, vectors[:count]), whole)


def test_a_choice_is_worth_as_much_by_groups_as_by_rows_if_no_group_is_split():
    vectors = directions(200, 8)
    vectors[:, 0] += 5
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chosen = np.array([3, 60, 110])
    groups = Summaries.of_rows(vectors).around(vectors[chosen])
    coverage = Terms().coverage(vectors[chosen], 3, "cosine", groups)
    assert coverage.worth(np.arange(3)) == pytest.approx(objective(vectors, chosen), rel=1e-5)


@pytest.mark.parametrize("rows", [60, 900])
@pytest.mark.parametrize("weights", [(0, 0), (0.4, 0), (0, 0.4), (0.3, 0.3), (1, 0), (0, 1)])
def test_with_one_row_in_each_group_the_choice_is_that_without_groups(rows, weights):
    """Also where rows are too many for a matrix of all similarities."""
    vectors, rng = directions(rows, 8), np.random.default_rng(1)
    scores, targets = rng.random(rows), directions(30, 8, seed=9)
    terms = Terms(weights[0], scores, weights[1], targets)
    budget = rows // 6
    plain = select(vectors, budget, dense_rows=400, terms=terms)
    grouped = select(vectors, budget, dense_rows=400, terms=terms, summaries=Summaries.of_rows(vectors))
    assert len(set(grouped.indices.tolist())) == budget
    first, second = (objective(vectors, found.indices, terms=terms) for found in (plain, grouped))
    assert second == pytest.approx(first, rel=1e-4 if rows <= 400 else 5e-3)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_tokens_are_kept_to_when_groups_judge(metric):
    vectors, costs = directions(120, 8), np.random.default_rng(0).integers(1, 9, 120)
    pool = Pool(vectors, summaries=Summaries.of_rows(vectors))
    found = FacilityLocation(metric).select_within(pool, costs, 100)
    assert 90 < costs[found.indices].sum() <= 100
