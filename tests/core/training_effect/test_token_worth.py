"""What a set is worth in random rows: its place between the same and twice the tokens, with an interval for both."""

from __future__ import annotations

import numpy as np
import pytest

from mergeit_ops.core.training_effect.crossed_mean import crossed_mean
from mergeit_ops.core.training_effect.token_worth import token_worth

DOUBLING = 0.02


def gains(value, seed, spread=0.01, centred=False):
    noise = np.random.default_rng(seed).normal(0, spread, (4, 200))
    return value + noise - (noise.mean() if centred else 0)


@pytest.mark.parametrize(("gain", "worth"), [(0.0, 1.0), (0.02, 2.0), (0.01, 2**0.5), (-0.02, 0.5)])
def test_gains_are_measured_in_doublings(gain, worth):
    found = token_worth(gains(gain, 1, centred=True), gains(DOUBLING, 2, centred=True))
    assert found.estimate == pytest.approx(worth)
    assert found.low <= worth <= found.high
    assert found.low < found.estimate < found.high


def test_the_interval_holds_one_just_where_the_gain_may_be_nothing():
    for seed in range(20):
        own = gains(0.0015, seed)
        found = token_worth(own, gains(DOUBLING, seed + 100))
        clear = crossed_mean(own).excludes_zero
        # Ends stand on a grid of a hundredth of a doubling.
        assert (found.low > 1.0 or found.high < 1.0) == clear or min(abs(found.low - 1), abs(found.high - 1)) < 0.01


def test_the_interval_holds_the_truth_as_often_as_it_says():
    inside = []
    for seed in range(200):
        found = token_worth(gains(0.01, seed), gains(DOUBLING, seed + 1000))
        inside.append(found.low <= 2**0.5 <= found.high)
    assert np.mean(inside) >= 0.92


def test_nothing_is_measured_by_a_doubling_that_may_be_nothing():
    assert token_worth(gains(0.1, 1), gains(0.0, 2)) is None
    assert token_worth(gains(0.1, 1), gains(-DOUBLING, 2)) is None


def test_what_lies_beyond_four_times_and_a_quarter_is_not_told():
    much, little = token_worth(gains(0.2, 1), gains(DOUBLING, 2)), token_worth(gains(-0.2, 1), gains(DOUBLING, 2))
    assert (much.estimate, much.low, much.high) == (None, 4.0, None)
    assert (little.estimate, little.low, little.high) == (None, None, 0.25)


def test_a_wide_interval_is_open():
    found = token_worth(gains(0.0, 1, spread=0.8, centred=True), gains(DOUBLING, 2))
    assert (found.low, found.high) == (None, None)
