"""Bootstrap intervals of means: what is known of them by hand, and how often they hold the true mean."""

from itertools import product

import numpy as np
import pytest

from mergeit_ops.core.measures import bootstrap
from mergeit_ops.core.measures.bootstrap import mean_interval, mean_intervals


def test_of_two_values_every_draw_is_known():
    # Means of two draws from 0 and 1 are 0, 0.5, 0.5 and 1.
    assert sorted(np.mean(pair) for pair in product((0, 1), repeat=2)) == [0, 0.5, 0.5, 1]
    found = mean_interval([0, 1])
    assert (found.estimate, found.low, found.high) == (0.5, 0, 1)
    # A quarter of the draws lies beyond each of the middle ones.
    middle = mean_interval([0, 1], confidence=0.4)
    assert (middle.low, middle.high) == (0.5, 0.5)


def test_of_many_values_it_is_that_of_the_normal_distribution():
    values = np.random.default_rng(0).normal(3, 2, 4_000)
    found = mean_interval(values, resamples=8_000)
    reach = 1.96 * values.std() / np.sqrt(len(values))
    assert found.estimate == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - reach, abs=0.05 * reach)
    assert found.high == pytest.approx(values.mean() + reach, abs=0.05 * reach)


def test_of_skewed_values_the_longer_side_is_that_of_the_tail():
    values = np.random.default_rng(0).exponential(1, 60)
    found = mean_interval(values)
    assert found.high - found.estimate > 1.15 * (found.estimate - found.low)


@pytest.mark.parametrize("draw", [lambda rng: rng.exponential(1, 40), lambda rng: rng.integers(0, 3, 40)])
def test_it_holds_the_true_mean_about_as_often_as_it_says(draw):
    found = [mean_interval(draw(np.random.default_rng(seed)), resamples=400) for seed in range(300)]
    share = np.mean([one.low <= 1 <= one.high for one in found])
    # Two standard errors of a share of 0.95 in 300 are 0.025; of 40 skewed values no bootstrap gets it quite right.
    assert 0.9 <= share <= 0.98


def test_differences_of_columns_are_paired():
    rng = np.random.default_rng(1)
    first = rng.normal(size=500)
    second = first + 0.05 + 0.01 * rng.normal(size=500)
    whole, gain = mean_intervals(np.stack([second, second - first], axis=1))
    assert gain.excludes_zero
    assert not whole.excludes_zero
    alone = mean_interval(second - first)
    assert (alone.low, alone.high) == pytest.approx((gain.low, gain.high))


def test_draws_in_parts_are_the_same_draws(monkeypatch):
    columns = np.random.default_rng(2).normal(size=(30, 2))
    whole = mean_intervals(columns)
    monkeypatch.setattr(bootstrap, "_CELLS", 100)
    for one, other in zip(whole, mean_intervals(columns), strict=True):
        assert (one.low, one.high) == pytest.approx((other.low, other.high))
    assert mean_intervals(columns, seed=1) != whole


def test_values_that_do_not_vary_and_too_few_values():
    same = mean_interval([2.0] * 5)
    assert (same.estimate, same.low, same.high) == (2, 2, 2)
    assert not mean_interval([0.0] * 5).excludes_zero
    one = mean_interval([2.0])
    assert (one.estimate, one.low, one.high) == (2, None, None)
    assert not one.excludes_zero
    lonely = mean_interval([1.0] + [0.0] * 20, confidence=0.9999)
    assert 0 <= lonely.low < 1 / 21 < lonely.high <= 1
    with pytest.raises(ValueError, match="at least one value"):
        mean_interval([])
