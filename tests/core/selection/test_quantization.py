"""Dataset quantization: golden values, the plain loop over all distances, and shares that no order of rows changes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.selection.budget import proportional_budgets
from mergeit_ops.core.selection.method import Pool
from mergeit_ops.core.selection.quantization import Quantization, bin_sizes, fill_bins

P6 = np.array([[0], [1], [2], [5], [9], [10]], dtype=np.float32)
X6 = np.array([(1, 0), (0.6, 0.8), (0, 1), (-1, 0), (0, -1), (0.8, 0.6)], dtype=np.float32)


def plain(vectors, num_bins) -> list[list[int]]:
    left = np.arange(len(vectors))
    bins = []
    for size in bin_sizes(len(vectors), num_bins):
        squared = ((vectors[left][:, None] - vectors[left][None]) ** 2).sum(axis=2)
        chosen = []
        for _ in range(size):
            gains = 2 * squared[:, chosen].sum(axis=1) - squared.sum(axis=1)
            gains[chosen] = -np.inf
            chosen.append(int(gains.argmax()))
        bins.append(left[chosen].tolist())
        left = np.delete(left, chosen)
    return bins


@pytest.mark.parametrize(
    ("vectors", "num_bins", "rows", "gains"),
    [
        (P6, 2, [[3, 2, 4], [1, 5, 0]], [[-91, -109, -81], [-82, -19, 101]]),
        (P6, 3, [[3, 2], [1, 4], [0, 5]], [[-91, -109], [-146, -18], [-100, 100]]),
        (X6, 2, [[1, 0, 3], [5, 4, 2]], [[-8.08, -7.6, -0.4], [-4, -0.8, 4.8]]),
    ],
)
def test_golden_bins(vectors, num_bins, rows, gains):
    bins = fill_bins(vectors, num_bins)
    assert [found.indices.tolist() for found in bins] == rows
    assert np.concatenate([found.gains for found in bins]) == pytest.approx(np.concatenate(gains), abs=1e-5)


def test_golden_bins_of_three():
    assert [found.indices.tolist() for found in fill_bins(X6, 3)] == [[1, 0], [2, 4], [3, 5]]


def test_on_unit_vectors_the_gains_are_those_of_the_released_code_up_to_a_shift():
    # P = 2 * code + 2 |S| - 2 |D without S|: the same choices.
    code = [
        (gain - 2 * chosen + 2 * (size - chosen)) / 2
        for found, size in zip(fill_bins(X6, 2), (6, 3), strict=True)
        for chosen, gain in enumerate(found.gains)
    ]
    assert code == pytest.approx([1.96, 0.2, 1.8, 1, 0.6, 1.4], abs=1e-5)


@given(
    st.lists(st.tuples(st.integers(-8, 8), st.integers(-8, 8)), min_size=1, max_size=40),
    st.integers(1, 12),
    st.integers(1, 6),
)
def test_few_candidates_at_a_time_choose_as_the_plain_loop_does(points, num_bins, candidates):
    vectors = np.array(points, dtype=np.float32)
    found = fill_bins(vectors, num_bins, candidates)
    assert [rows.indices.tolist() for rows in found] == plain(vectors.astype(np.float64), num_bins)


def test_unit_vectors_choose_as_the_plain_loop_does():
    vectors = np.random.default_rng(2).normal(size=(200, 16)) + 0.5
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    found = fill_bins(vectors, 7, candidates=20)
    assert [rows.indices.tolist() for rows in found] == plain(vectors.astype(np.float64), 7)


@pytest.mark.parametrize(
    ("rows", "num_bins", "total", "size", "last", "share"),
    [
        (52_002, 10, 5_200, 5_200, 5_202, 520),
        (52_002, 50, 1_000, 1_040, 1_042, 20),
        (52_002, 5, 1_040, 10_400, 10_402, 208),
    ],
)
def test_golden_sizes_for_the_totals_of_the_released_code(rows, num_bins, total, size, last, share):
    sizes = bin_sizes(rows, num_bins)
    assert sizes == [size] * (num_bins - 1) + [last]
    assert proportional_budgets(sizes, total).tolist() == [share] * num_bins


def test_every_row_is_in_a_bin_and_the_budget_is_met():
    # The released code leaves one of the seven without a bin, and takes 2 where 4 are asked for.
    assert bin_sizes(7, 2) == [3, 4]
    vectors = np.arange(7, dtype=np.float32)[:, None]
    assert sorted(np.concatenate([found.indices for found in fill_bins(vectors, 2)])) == list(range(7))
    chosen = Quantization(2).select(Pool(vectors), 4).indices
    first, last = (set(found.indices) for found in fill_bins(vectors, 2))
    assert (len(first & set(chosen)), len(last & set(chosen))) == (2, 2)


@given(st.permutations(range(30)), st.integers(0, 3))
def test_the_order_of_the_rows_does_not_matter(order, seed):
    vectors = np.random.default_rng(5).normal(size=(30, 3)).astype(np.float32)
    found = Quantization(4, seed).select(Pool(vectors[order]), 9).indices
    assert set(np.array(order)[found]) == set(Quantization(4, seed).select(Pool(vectors), 9).indices)


def test_another_seed_draws_other_rows_of_the_same_bins():
    vectors = np.random.default_rng(5).normal(size=(30, 3)).astype(np.float32)
    draws = [set(Quantization(3, seed).select(Pool(vectors), 9).indices) for seed in range(5)]
    assert len({frozenset(rows) for rows in draws}) > 1
    for found in fill_bins(vectors, 3):
        assert {len(rows & set(found.indices)) for rows in draws} == {3}


def test_equal_rows_go_to_the_lowest_position():
    vectors = np.array([[3], [1], [1], [1], [3]], dtype=np.float32)
    # Each bin takes the most central of what is left: of 3 1 1 1 3, of 3 1 1 3, of 1 1 3, and of 1 3.
    assert [found.indices.tolist() for found in fill_bins(vectors, 5)] == [[1], [0], [2], [3], [4]]


@pytest.mark.parametrize("rows", [0, 1, 6])
def test_a_budget_of_all_rows_keeps_all(rows):
    assert sorted(Quantization().select(Pool(P6[:rows]), rows).indices) == list(range(rows))
