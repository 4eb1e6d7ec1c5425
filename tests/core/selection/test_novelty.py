"""Novelty: golden values, the plain formula, and densities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.selection.method import Pool
from mergeit_ops.core.selection.novelty import MOST_ROWS, Novelty, density, most_novel

X6 = np.array([(1, 0), (0.6, 0.8), (0, 1), (-1, 0), (0, -1), (0.8, 0.6)], dtype=np.float32)
ROW_0 = np.array([0])


def random_rows(n, d=4, seed=3):
    vectors = np.random.default_rng(seed).normal(size=(n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def plain(vectors, budget, densities) -> list[int]:
    exact = vectors.astype(np.float64)
    distances = (densities[:, None] + densities[None]) * (1 - exact @ exact.T)
    chosen = [0]
    while len(chosen) < budget:
        ranks = np.arange(1, len(chosen) + 1)
        values = (np.sort(distances[:, chosen], axis=1) / ranks).mean(axis=1)
        values[chosen] = -np.inf
        chosen.append(int(values.argmax()))
    return chosen


def test_golden_densities():
    expected = [1.290994, 2.041241, 1.290994, 0.707107, 0.707107, 2.041241]
    assert density(X6, 2, 0.5) == pytest.approx(expected, abs=1e-5)
    assert density(X6, 2, 0).tolist() == [1] * 6


def test_golden_choices_from_the_first_row():
    found = Novelty("first", density_neighbors=2).select(Pool(X6), 4)
    assert found.indices.tolist() == [0, 3, 1, 4]
    assert found.gains[0] == np.inf
    assert found.gains[1:] == pytest.approx([3.996202, 1.765786, 1.354091], abs=1e-5)
    assert Novelty("first", density_power=0).select(Pool(X6), 4).indices.tolist() == [0, 3, 2, 4]


@pytest.mark.parametrize("seed", range(4))
def test_choices_are_those_of_the_plain_formula(seed):
    vectors = random_rows(60, seed=seed)
    densities = density(vectors, 5, 0.5)
    assert most_novel(vectors, 40, ROW_0, densities).indices.tolist() == plain(vectors, 40, densities)


def test_the_density_is_that_of_the_nearest_other_rows():
    vectors = random_rows(2_500, 3)
    squared = ((vectors[2_100] - vectors) ** 2).sum(axis=1)
    expected = np.sort(squared)[1:5].mean() ** -0.5
    assert density(vectors, 4, 0.5)[2_100] == pytest.approx(expected, rel=1e-3)
    # There are no more than two others.
    assert density(X6[:3], 10, 0.5) == pytest.approx(density(X6[:3], 2, 0.5))


def test_rows_that_are_chosen_already_decide_about_the_others():
    method = Novelty("column", density_power=0)
    found = method.select(Pool(X6, chosen=np.array([True, False, True, False, False, False])), 3)
    # Rows 3 and 4 are opposite to one of the two and at right angles to the other; the first of them is chosen.
    assert found.indices.tolist() == [0, 2, 3]
    assert found.gains.tolist() == [np.inf, np.inf, pytest.approx((2 * 1 + 2 * 2 / 2) / 2)]


@given(st.permutations(range(14)))
def test_the_order_of_the_rows_does_not_matter(order):
    vectors = random_rows(14)
    found = Novelty().select(Pool(vectors[order]), 5).indices
    assert set(np.array(order)[found]) == set(Novelty().select(Pool(vectors), 5).indices)


def test_equal_rows_go_to_the_lowest_position():
    found = Novelty("first", density_power=0).select(Pool(X6[[0, 0, 3, 3, 3]]), 3)
    assert found.indices.tolist() == [0, 2, 1]


@pytest.mark.parametrize("rows", [0, 1, 6])
def test_a_budget_of_all_rows_keeps_all(rows):
    assert sorted(Novelty().select(Pool(X6[:rows]), rows).indices) == list(range(rows))


def test_more_rows_than_it_is_meant_for_are_refused():
    assert Novelty().refusal(MOST_ROWS, 2_000) == ""
    assert "it can choose at most 2,000, and 2,001 are wanted" in Novelty().refusal(MOST_ROWS, 2_001)
    assert "at most 20,000 rows, and there are 20,001" in Novelty().refusal(MOST_ROWS + 1, 5)
