"""A budget of tokens is never exceeded, and as much of it is used as rows fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mergeit_ops.core.selection import DIVERSITY_METHODS
from mergeit_ops.core.selection.method import Pool, Selection
from mergeit_ops.core.selection.token_budget import fitting, select_within
from tests.core.selection.test_facility_location import unit_vectors

COSTS = st.lists(st.integers(1, 50), min_size=1, max_size=40).map(np.asarray)


def test_a_row_that_does_not_fit_is_left_out_and_later_ones_are_still_taken():
    assert fitting(np.array([4, 9, 3, 3, 1]), 8).tolist() == [0, 2, 4]


@settings(max_examples=100, deadline=None)
@given(COSTS, st.integers(1, 600))
def test_what_is_left_is_less_than_an_average_row_or_nothing_more_fits(costs, tokens):
    def in_order(budget):
        return Selection(np.arange(budget), np.zeros(budget))

    chosen = select_within(in_order, costs, tokens).indices
    left = tokens - costs[chosen].sum()
    assert left >= 0
    others = np.delete(costs, chosen)
    assert left < costs.mean() or not len(others) or others.min() > left
    # Rows are taken in the order of the method: only one that no longer fitted was left out.
    assert chosen.tolist() == fitting(costs, tokens)[: len(chosen)].tolist()


def test_a_choice_that_depends_on_its_size_is_the_largest_that_fits():
    def spread(budget):
        return Selection(np.linspace(0, 9, budget).astype(np.int64), np.zeros(budget))

    chosen = select_within(spread, np.full(10, 7), 30, nested=False).indices
    assert chosen.tolist() == spread(4).indices.tolist()


@pytest.mark.parametrize("method", list(DIVERSITY_METHODS))
def test_every_method_keeps_to_a_budget_of_tokens(method):
    vectors, costs = unit_vectors(60), np.random.default_rng(0).integers(1, 40, 60)
    chosen = DIVERSITY_METHODS[method]().select_within(Pool(vectors), costs, 300).indices
    assert 200 < costs[chosen].sum() <= 300
    assert len(set(chosen.tolist())) == len(chosen)
