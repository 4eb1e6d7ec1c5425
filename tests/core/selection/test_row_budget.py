"""Which rows stay: random ones that do not depend on their order, or those with extreme values."""

import math

import pytest

from mergeit_ops.core.selection.row_budget import extreme_rows, random_rows

IDS = [f"row {number}" for number in range(200)]


def test_the_same_rows_are_drawn_in_any_order():
    drawn = random_rows(IDS, 50, seed=42)
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    assert len(drawn) == 50
    backwards = random_rows(IDS[::-1], 50, seed=42)
    assert {IDS[row] for row in drawn} == {IDS[::-1][row] for row in backwards}


def test_another_seed_draws_other_rows_and_each_row_is_drawn_about_as_often():
    draws = [set(random_rows(IDS, 50, seed).tolist()) for seed in range(400)]
    assert len({tuple(sorted(draw)) for draw in draws}) == 400
    # 400 draws of a quarter: 100 times each, standard deviation 8.7.
    assert all(55 < sum(row in draw for draw in draws) < 145 for row in range(200))


@pytest.mark.parametrize(("highest", "expected"), [(True, [1, 2]), (False, [0, 4])])
def test_extreme_values_in_the_order_of_the_rows_and_ties_to_the_first(highest, expected):
    assert extreme_rows([1.0, 3, 3, 3, 0.5, 2], 2, highest).tolist() == expected


def test_what_is_no_number_is_never_chosen():
    values = [None, math.nan, "9", True, math.inf, [1], 0.1, -5]
    assert extreme_rows(values, 5, highest=True).tolist() == [6, 7]
    assert extreme_rows(values, 1, highest=False).tolist() == [7]


def test_more_than_there_are_means_all():
    assert random_rows(IDS[:3], 9, 42).tolist() == [0, 1, 2]
    assert random_rows([], 9, 42).tolist() == []
