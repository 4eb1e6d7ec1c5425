"""Facility location for more rows than a dense kernel is kept for: parts of it by hand, and the whole against it."""

import numpy as np
import pytest

from mergeit_ops.core.products import inner_products
from mergeit_ops.core.selection.coverage import Coverage
from mergeit_ops.core.selection.large_sets import select_large, select_large_within
from mergeit_ops.core.selection.lazy_greedy import lazy_greedy
from tests.core.selection.toys import directions

VECTORS = directions(600, 8)


def coverage(**more):
    return Coverage(VECTORS, inner_products, **more)


@pytest.mark.parametrize("budget", [1, 17, 100])
def test_each_row_is_chosen_once_and_the_gains_are_those_of_the_choice(budget):
    chosen, gains = select_large(coverage(), budget, cell_rows=150)
    assert len(set(chosen.tolist())) == len(chosen) == len(gains) == budget
    assert gains.sum() == pytest.approx(coverage().worth(chosen), rel=0.02)


@pytest.mark.parametrize("budget", [5, 60])
def test_the_choice_is_worth_what_that_of_the_dense_kernel_is(budget):
    chosen, _ = select_large(coverage(), budget, cell_rows=150)
    dense = lazy_greedy(coverage().whole_kernel(), budget)
    assert coverage().worth(chosen) >= 0.99 * coverage().worth(dense.indices)


def test_the_same_rows_are_chosen_again():
    first, second = (select_large(coverage(), 100, cell_rows=150)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("limit", [10, 400])
def test_costs_are_never_above_the_budget(limit):
    costs = np.random.default_rng(0).integers(1, 20, 600)
    found = select_large_within(coverage(), costs, limit, cell_rows=150)
    assert costs[found.indices].sum() <= limit
    assert len(set(found.indices.tolist())) == len(found.indices)
    # What is left would not hold a row of the average cost.
    assert limit - costs[found.indices].sum() < costs.mean() or len(found.indices) == 600


def test_rows_that_are_all_alike_can_be_chosen_among():
    copies = Coverage(np.repeat(VECTORS[:1], 400, axis=0), inner_products)
    chosen, gains = select_large(copies, 40, cell_rows=50)
    assert len(set(chosen.tolist())) == 40
    assert gains.sum() == pytest.approx(400, rel=1e-3)
