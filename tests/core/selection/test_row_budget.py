"""The order in which rows are taken: a random one that does not depend on theirs, or that of a value."""

import math

import pytest

from mergeit_ops.core.selection.row_budget import extreme_order, random_order

IDS = [f"row {number}" for number in range(200)]


def test_the_same_rows_are_drawn_in_any_order():
    order = random_order(IDS, seed=42)
    assert sorted(order.tolist()) == list(range(200))
    backwards = random_order(IDS[::-1], seed=42)
    assert [IDS[row] for row in order] == [IDS[::-1][row] for row in backwards]


def test_another_seed_draws_other_rows_and_each_row_is_drawn_about_as_often():
    draws = [set(random_order(IDS, seed)[:50].tolist()) for seed in range(400)]
    assert len({tuple(sorted(draw)) for draw in draws}) == 400
    # 400 draws of a quarter: 100 times each, standard deviation 8.7.
    assert all(55 < sum(row in draw for draw in draws) < 145 for row in range(200))


@pytest.mark.parametrize(("highest", "expected"), [(True, [1, 2]), (False, [4, 0])])
def test_ties_go_to_the_first(highest, expected):
    assert extreme_order([1.0, 3, 3, 3, 0.5, 2], highest)[:2].tolist() == expected


def test_what_is_no_number_is_never_chosen():
    values = [None, math.nan, "9", True, math.inf, [1], 0.1, -5]
    assert extreme_order(values, highest=True).tolist() == [6, 7]
    assert extreme_order(values, highest=False).tolist() == [7, 6]


def test_no_rows_have_no_order():
    assert random_order([], 42).tolist() == []
