"""What a choice of rows is worth."""

import numpy as np
import pytest

from mergeit_ops.core.products import inner_products
from mergeit_ops.core.selection.coverage import Coverage
from tests.core.selection.toys import X6, directions

TARGETS = np.array([(0, -1), (-1, 0)], dtype=np.float32)


def test_golden_worth_of_six_directions():
    plain = Coverage(X6, inner_products)
    assert plain.worth(np.array([1])) == pytest.approx(0.6 + 1 + 0.8 + 0 + 0 + 0.96)
    assert plain.worth(np.array([], dtype=np.int64)) == 0
    assert plain.worth(np.arange(6)) == pytest.approx(6)
    bonus = Coverage(X6, inner_products, bonus=np.arange(6.0))
    assert bonus.worth(np.array([1, 3])) == pytest.approx(3.36 + 1 + 4)
    aimed = Coverage(X6, inner_products, row_weight=0.5, targets=TARGETS, target_weight=2.0)
    assert aimed.worth(np.array([4])) == pytest.approx(0.5 * 1 + 2.0 * 1)


def weighed():
    rng = np.random.default_rng(0)
    return Coverage(directions(30), inner_products, 0.25, rng.random(30), directions(12, seed=5), 3.0)


def test_every_way_to_a_kernel_gives_the_same_numbers():
    coverage = weighed()
    points, rows = np.arange(coverage.points), np.arange(30)
    whole = coverage.whole_kernel()
    np.testing.assert_allclose(coverage.kernel(rows, points), whole, rtol=1e-6)
    np.testing.assert_allclose(coverage.kernel_of_points(points, coverage.vectors).T, whole, rtol=1e-6)
    some = np.array([3, 29, 30, 41])
    np.testing.assert_allclose(coverage.kernel(rows, some), whole[:, some], rtol=1e-6)
    assert coverage.rows_among(some).tolist() == [3, 29]


@pytest.mark.parametrize("block", [1, 5, 100])
def test_blocks_make_no_difference(block):
    chosen = np.array([4, 17, 2])
    coverage = weighed()
    expected = np.maximum(coverage.whole_kernel()[chosen].max(axis=0), 0).sum() + coverage.bonus[chosen].sum()
    assert coverage.worth(chosen, block) == pytest.approx(float(expected), rel=1e-5)


def test_a_sample_of_all_is_all_and_a_smaller_one_is_in_proportion():
    coverage, chosen = weighed(), np.array([4, 17, 2])
    points, judged, factor = coverage.judged_by(1_000, 0)
    assert points.tolist() == list(range(42))
    assert factor == 1
    points, judged, factor = coverage.judged_by(10, 0)
    assert (len(points), factor) == (20, 3)
    assert (np.diff(points) > 0).all()
    # Everything that the sample weighs, times the factor, is what all points weigh.
    assert factor * float(judged.weights(points).sum()) == pytest.approx(30 * 0.25 + 12 * 3.0)
    assert factor * judged.bonus_of(chosen).sum() == pytest.approx(coverage.bonus[chosen].sum())


def test_without_a_weight_of_rows_only_the_targets_are_covered():
    weights = np.arange(1, 13, dtype=np.float32)
    coverage = Coverage(directions(30), inner_products, 0.0, None, directions(12, seed=5), weights)
    assert coverage.to_cover(np.arange(42)).tolist() == list(range(30, 42))
    assert coverage.whole_kernel().shape == (30, 12)
    expected = (np.maximum(directions(30)[[4, 9]] @ directions(12, seed=5).T, 0).max(axis=0) * weights).sum()
    assert coverage.worth(np.array([4, 9])) == pytest.approx(float(expected), rel=1e-5)


def test_a_sample_of_weighted_targets_is_in_proportion_and_finds_the_one_that_weighs_most():
    weights = np.full(500, 0.5, dtype=np.float32)
    weights[77] = 400
    coverage = Coverage(directions(30), inner_products, 0.0, None, directions(500, seed=5), weights)
    points, judged, factor = coverage.judged_by(40, 0)
    assert len(points) <= 40
    assert 30 + 77 in points
    assert factor * float(judged.weights(points).sum()) == pytest.approx(float(weights.sum()), rel=1e-5)
    # About 40 * 400 / 650 of the draws.
    assert judged.target_weights[77] == pytest.approx(400, rel=0.3)
