"""The gold score of Nuggets: the golden values of section D of the sheet, and which rows stand for all."""

import numpy as np
import pytest

from mergeit_ops.core.scoring.nuggets import can_reach, gold_score, mean_gain, representatives

ZERO = (-1, -2, -0.5, -3)


@pytest.mark.parametrize(
    ("one", "score"),
    [
        ((-0.9, -2, -0.6, -2.5), 0.5),
        ((-0.5, -1, -0.4, -2.9), 1),
        ((-1.2, -2.5, -0.5, -3), 0),  # equal is no gain
        ((-0.1, -2.1, -0.6, -3.1), 0.25),  # the mean of ratios, 3.188, would be the highest of all
    ],
)
def test_the_golden_scores(one, score):
    assert gold_score(ZERO, one) == score


def test_the_mean_gain_is_that_of_log_probabilities():
    assert mean_gain(ZERO, (-0.5, -1, -0.4, -2.9)) == pytest.approx((0.5 + 1 + 0.1 + 0.1) / 4)


def test_a_bound_is_given_up_when_no_more_gains_can_reach_it():
    one = (-1.2, -2.5)
    assert can_reach(ZERO[:2], one, 4, 0.5)
    assert not can_reach(ZERO[:2], one, 4, 0.6)
    assert can_reach((), (), 4, 1.0)


def test_the_nearest_row_to_each_centre_is_taken_once_and_ties_go_to_the_lowest():
    vectors = np.array([(1, 0), (0, 1), (0, 1), (0.6, 0.8)], np.float32)
    assert representatives(vectors, np.array([(0, 0.9), (0.9, 0.1), (0, 2)], np.float32)) == [1, 0]
