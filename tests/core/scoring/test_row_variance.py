"""The spread of rows over principal axes: golden values, and what does not change them."""

import numpy as np
import pytest

from mergeit_ops.core.scoring import row_variance
from mergeit_ops.core.scoring.row_variance import PrincipalAxes, row_statistic


def coordinates_of(vectors, components):
    return np.concatenate(list(PrincipalAxes.of(vectors, components).coordinates(vectors)))


ROWS = np.array([(1, 2), (3, 0), (-1, 1), (2, 2), (0, -3)], float)


@pytest.mark.parametrize(
    ("statistic", "flip", "expected"),
    [
        ("variance", 1, [0.25, 2.25, 1, 0, 2.25]),
        ("variance", -1, [2.25, 2.25, 0, 4, 2.25]),
        ("mean_square", 1, [2.5, 4.5, 1, 4, 4.5]),
        ("mean_square", -1, [2.5, 4.5, 1, 4, 4.5]),
    ],
)
def test_golden_values_with_an_axis_as_it_is_and_flipped(statistic, flip, expected):
    np.testing.assert_allclose(row_statistic(ROWS * [1, flip], statistic), expected)


def test_axes_are_scaled_uncorrelated_and_ordered_and_their_largest_entry_is_positive():
    vectors = (np.random.default_rng(1).normal(size=(200, 5)) @ np.diag([9, 1, 1, 1, 0.1])).astype(np.float32)
    vectors[:, 1] += vectors[:, 0]
    coordinates = coordinates_of(vectors, 5)
    covariance = np.cov(coordinates.T, ddof=0)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-5)
    assert (np.diff(np.diag(covariance)) <= 1e-9).all()
    assert np.trace(covariance) == pytest.approx(5)  # each dimension has unit variance
    np.testing.assert_allclose(coordinates_of(-vectors, 5), -coordinates, atol=1e-6)


def test_the_fewest_axes_hold_95_percent_of_the_variance():
    vectors = np.random.default_rng(2).normal(size=(300, 4)).astype(np.float32)
    vectors = np.hstack([vectors, vectors])  # four dimensions, each there twice
    coordinates = coordinates_of(vectors, None)
    shares = np.square(coordinates_of(vectors, 8)).mean(axis=0) / 8
    assert shares[: coordinates.shape[1]].sum() >= 0.95 > shares[: coordinates.shape[1] - 1].sum()


def test_rows_that_are_all_alike_have_no_spread():
    coordinates = coordinates_of(np.ones((3, 4), np.float32), None)
    assert row_statistic(coordinates, "variance").tolist() == [0, 0, 0]


def test_blocks_do_not_change_the_coordinates(monkeypatch):
    vectors = np.random.default_rng(3).normal(size=(50, 6)).astype(np.float32)
    whole = coordinates_of(vectors, None)
    monkeypatch.setattr(row_variance, "_BLOCK_ROWS", 7)
    np.testing.assert_allclose(coordinates_of(vectors, None), whole, atol=1e-9)
