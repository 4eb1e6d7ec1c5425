"""Scores on a scale: worked by hand."""

import numpy as np
import pytest

from mergeit_ops.core.selection.scales import SCALES, finite_numbers

SCORES = np.array([6.0, 8.0, 4.0, 4.0, 4.0, 5.0])


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("minmax", [0.5, 1, 0, 0, 0, 0.25]),
        # The three lowest share the ranks 0, 1 and 2, of 0 to 5.
        ("rank", [0.8, 1, 0.2, 0.2, 0.2, 0.6]),
        ("raw", [6, 8, 4, 4, 4, 5]),
    ],
)
def test_each_scale_is_fitted_to_all_scores(scale, expected):
    np.testing.assert_allclose(SCALES[scale](SCORES)(SCORES), expected)


@pytest.mark.parametrize("scale", list(SCALES))
def test_a_missing_score_counts_as_the_lowest(scale):
    fitted = SCALES[scale](SCORES)
    np.testing.assert_array_equal(fitted(np.array([np.nan])), fitted(np.array([4.0])))


def test_scores_that_are_all_the_same_say_nothing():
    assert SCALES["minmax"](np.full(3, 7.0))(np.array([7.0, np.nan])).tolist() == [0, 0]


def test_one_score_is_enough_for_a_rank():
    assert SCALES["rank"](np.array([3.0]))(np.array([3.0])).tolist() == [0]


def test_only_finite_numbers_are_scores():
    numbers = finite_numbers([1, 2.5, None, True, "3", float("nan"), float("inf")])
    np.testing.assert_array_equal(numbers, [1, 2.5, np.nan, np.nan, np.nan, np.nan, np.nan])
