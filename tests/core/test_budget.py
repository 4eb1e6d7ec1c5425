"""Budgets: what each topic may keep."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.budget import gain_budgets, proportional_budgets, ratio_budget


@pytest.mark.parametrize(
    ("size", "ratio", "expected"), [(10, 0.2, 2), (1, 0.2, 1), (2, 0.01, 1), (0, 0.5, 0), (7, 1.0, 7), (134, 0.2, 27)]
)
def test_ratio_keeps_at_least_one_of_a_topic(size, ratio, expected):
    assert ratio_budget(size, ratio) == expected


def test_largest_remainder_by_hand():
    # Quotas of 10 over sizes 1, 2, 4 are 1.43, 2.86, 5.71: floors 1, 2, 5, capped by size; remainders .43, .86, .71.
    assert proportional_budgets([10, 20, 40], 10).tolist() == [1, 3, 6]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20), st.integers(0, 400))
def test_proportional_budgets_sum_to_the_total_and_fit(sizes, total):
    budgets = proportional_budgets(sizes, total)
    assert budgets.sum() == min(total, sum(sizes))
    assert (budgets <= sizes).all()
    assert (budgets >= 0).all()


def test_gain_budgets_take_the_highest_gains_of_all_topics():
    gains = [np.array([5.0, 1.0, 0.5]), np.array([4.0, 3.0, 2.0])]
    assert gain_budgets(gains, 4).tolist() == [1, 3]
    assert gain_budgets(gains, 99).tolist() == [3, 3]
    assert gain_budgets([], 4).tolist() == []
