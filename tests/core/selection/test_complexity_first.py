"""Complexity first: golden values of the toy set T6, the passes of the plain loop, rows without tags."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.selection import TAG_METHODS
from mergeit_ops.core.selection.complexity_first import ComplexityFirst
from mergeit_ops.core.selection.method import Pool

A, B, C, D, E, F = range(6)
T6 = [("1", "2", "3"), ("1", "2"), ("4",), ("3", "4"), ("5",), ("1",)]
rows_of_tags = st.lists(st.lists(st.sampled_from("abcdef"), max_size=4).map(tuple), min_size=1, max_size=12)


def chosen(tags, budget) -> list[int]:
    return ComplexityFirst().select(Pool(tags=tags), budget).indices.tolist()


def plain(tags) -> list[int]:
    """Pass after pass, as the paper says it; what no pass takes comes last."""
    left = sorted(range(len(tags)), key=lambda row: -len(set(tags[row])))
    found = []
    while True:
        cover, taken = set(), []
        for row in left:
            if len(cover | set(tags[row])) > len(cover):
                cover |= set(tags[row])
                taken.append(row)
        if not taken:
            return found + left
        found += taken
        left = [row for row in left if row not in taken]


@pytest.mark.parametrize(("budget", "expected"), [(3, [A, D, E]), (4, [A, D, E, B]), (6, [A, D, E, B, C, F])], ids=str)
def test_golden_passes(budget, expected):
    assert chosen(T6, budget) == expected


def test_gains_are_the_tags_that_are_new_in_a_pass():
    assert ComplexityFirst().select(Pool(tags=T6), 6).gains.tolist() == [3, 1, 1, 2, 1, 1]


def test_rows_without_tags_come_last_and_gain_nothing():
    found = ComplexityFirst().select(Pool(tags=[(), *T6, ()]), 8)
    assert found.indices.tolist() == [1, 4, 5, 2, 3, 6, 0, 7]
    assert found.gains[-2:].tolist() == [0, 0]


@given(rows_of_tags)
def test_one_loop_finds_the_passes_of_the_plain_loops(tags):
    assert chosen(tags, len(tags)) == plain(tags)


@given(rows_of_tags, st.data())
def test_a_smaller_budget_takes_the_first_of_a_larger_one(tags, data):
    budget = data.draw(st.integers(1, len(tags)))
    assert chosen(tags, budget) == chosen(tags, len(tags))[:budget]


def test_it_needs_tags_and_nothing_else():
    assert TAG_METHODS["complexity_first"]().needs == {"tags"}
    assert np.array_equal(ComplexityFirst().select(Pool(tags=[()]), 1).indices, [0])
