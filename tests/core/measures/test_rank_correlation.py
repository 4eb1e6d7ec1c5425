"""Spearman's rank correlation and its interval."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from mergeit_ops.core.measures.rank_correlation import spearman, spearman_interval

RNG = np.random.default_rng(5)
FIRST = RNG.normal(size=300)
SECOND = FIRST + RNG.normal(size=300)


def test_the_correlation_by_hand_and_beside_scipy():
    # 1 - 6 * (1 + 1) / (3 * 8): two of three neighbours have changed places.
    assert spearman([1, 2, 3], [10, 30, 20]) == pytest.approx(0.5)
    tied = np.round(SECOND)
    assert spearman(FIRST, tied) == pytest.approx(float(spearmanr(FIRST, tied)[0]))


@pytest.mark.parametrize(("first", "second"), [([1, 1, 1], [1, 2, 3]), ([4], [2]), ([], [])])
def test_where_there_is_nothing_to_order_it_is_zero(first, second):
    assert spearman(first, second) == 0


def test_the_interval_is_that_of_fisher():
    found = spearman_interval(FIRST, SECOND)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.estimate < found.high
    # Fisher's z with the variance that Bonett and Wright give for ranks.
    half = 1.96 * np.sqrt((1 + found.estimate**2 / 2) / (300 - 3))
    expected = np.tanh(np.arctanh(found.estimate) + np.array([-half, half]))
    np.testing.assert_allclose([found.low, found.high], expected, atol=0.02)
    assert spearman_interval(FIRST, SECOND) == found


def test_draws_without_any_order_do_not_break_it():
    found = spearman_interval([1, 1, 1, 2], [1, 2, 3, 4])
    assert found.low == 0
    assert spearman_interval([1.0], [2.0]).low is None
