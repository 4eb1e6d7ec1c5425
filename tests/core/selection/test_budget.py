"""Budgets: what each topic may keep."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.selection.budget import FIXED_BUDGETS, equal_budgets, gain_budgets, ratio_budget


@pytest.mark.parametrize(
    ("size", "ratio", "expected"), [(10, 0.2, 2), (1, 0.2, 1), (2, 0.01, 1), (0, 0.5, 0), (7, 1.0, 7), (134, 0.2, 27)]
)
def test_ratio_keeps_at_least_one_of_a_topic(size, ratio, expected):
    assert ratio_budget(size, ratio) == expected


def test_largest_remainder_by_hand():
    # Quotas of 10 over sizes 1, 2, 4 are 1.43, 2.86, 5.71: floors 1, 2, 5, capped by size; remainders .43, .86, .71.
    assert FIXED_BUDGETS["proportional"]([10, 20, 40], 10).tolist() == [1, 3, 6]


def test_equal_parts_by_hand():
    # 12 over four topics is 3 each; the topic of 1 leaves 2, which the first two of the others get.
    assert equal_budgets([5, 1, 9, 9], 12).tolist() == [4, 1, 4, 3]
    assert equal_budgets([5, 5, 5], 2).tolist() == [1, 1, 0]
    assert equal_budgets([], 4).tolist() == []


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20), st.integers(0, 400))
def test_equal_parts_differ_by_a_row_at_most_where_topics_are_large_enough(sizes, total):
    budgets = equal_budgets(sizes, total)
    cut = [budget for budget, size in zip(budgets, sizes, strict=True) if budget < size]
    assert not cut or max(cut) - min(cut) <= 1
    assert not cut or max(budgets) <= max(cut) + 1


@pytest.mark.parametrize("allocation", FIXED_BUDGETS)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=20), st.integers(0, 400))
def test_budgets_of_fixed_sizes_sum_to_the_total_and_fit(allocation, sizes, total):
    budgets = FIXED_BUDGETS[allocation](sizes, total)
    assert budgets.sum() == min(total, sum(sizes))
    assert (budgets <= sizes).all()
    assert (budgets >= 0).all()


def test_gain_budgets_take_the_highest_gains_of_all_topics():
    gains = [np.array([5.0, 1.0, 0.5]), np.array([4.0, 3.0, 2.0])]
    assert gain_budgets(gains, 4).tolist() == [1, 3]
    assert gain_budgets(gains, 99).tolist() == [3, 3]
    assert gain_budgets([], 4).tolist() == []
