"""SemDeDup: golden values of the sheet, and the pass across the borders of cells."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mergeit_ops.core.selection.semantic_deduplication import (
    default_num_cells,
    drop_across_cells,
    drop_within_cells,
    keep_order,
)
from tests.core.selection.toys import Q6, X6, Y3, directions

ONE_CELL = [np.arange(6)]


def kept(vectors, cells, order, bound, chain="greedy") -> list[int]:
    dropped_for = drop_within_cells(vectors, cells, order, bound, chain)
    return [row for row in order.tolist() if dropped_for[row] < 0]


def test_golden_orders_of_the_sheet():
    assert keep_order(X6, ONE_CELL, "hard").tolist() == [3, 4, 0, 2, 1, 5]
    # Equal distances go to the lowest row, which is not the reverse of `hard`, 5, 1, 2, 0, 4, 3, as released.
    assert keep_order(X6, ONE_CELL, "easy").tolist() == [1, 5, 0, 2, 3, 4]
    assert keep_order(X6, ONE_CELL, "score", Q6).tolist() == [1, 0, 5, 2, 3, 4]
    assert keep_order(X6, ONE_CELL, "first").tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("chain", ["greedy", "released"])
def test_golden_of_the_sheet_for_hard(chain):
    order = keep_order(X6, ONE_CELL, "hard")
    assert drop_within_cells(X6, ONE_CELL, order, 0.95, chain).tolist() == [-1, -1, -1, -1, -1, 1]
    assert kept(X6, ONE_CELL, order, 0.75, chain) == [3, 4, 0, 2]


def test_golden_of_the_sheet_for_easy():
    order = keep_order(X6, ONE_CELL, "easy")
    # The released code also drops row 0 for the dropped row 5, and starts from row 5 in its reversed order.
    assert kept(X6, ONE_CELL, order, 0.75, "released") == [1, 3, 4]
    assert kept(X6, ONE_CELL, order, 0.75) == [1, 0, 3, 4]
    assert kept(X6, ONE_CELL, np.array([5, 1, 2, 0, 4, 3]), 0.75, "released") == [5, 4, 3]


def test_golden_of_the_sheet_for_a_chain():
    order = np.arange(3)
    assert kept(Y3, [order], order, 0.9, "released") == [0]
    assert kept(Y3, [order], order, 0.9) == [0, 2]
    assert drop_within_cells(Y3, [order], order, 0.9, "released").tolist() == [-1, 0, 1]


def test_a_pair_in_two_cells_is_found_by_the_second_pass():
    cells = [np.array([0, 3]), np.array([1, 2, 4, 5])]
    order = keep_order(X6, cells, "score", Q6)
    dropped_for = drop_within_cells(X6, cells, order, 0.75)
    assert dropped_for.tolist() == [-1, -1, 1, -1, -1, 1]
    assert drop_across_cells(X6, cells, order, 0.55, dropped_for).tolist() == [1, -1, 1, -1, -1, 1]
    chain = [np.array([0]), np.array([1]), np.array([2])]
    order = np.arange(3)
    apart = np.full(3, -1)
    assert drop_across_cells(Y3, chain, order, 0.9, apart).tolist() == [-1, 0, -1]
    assert drop_across_cells(Y3, chain, order, 0.9, apart, "released").tolist() == [-1, 0, 1]


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 60), st.integers(0, 99))
def test_with_three_cells_both_passes_leave_no_pair_above_the_bound(rows, seed):
    vectors = directions(rows, width=3, seed=seed)
    nearest = (vectors @ np.eye(3, dtype=np.float32)).argmax(axis=1)
    cells = [np.flatnonzero(nearest == cell) for cell in range(3)]
    order = np.random.default_rng(seed).permutation(rows)
    found = drop_across_cells(vectors, cells, order, 0.9, drop_within_cells(vectors, cells, order, 0.9))
    left = vectors[found < 0]
    assert (left @ left.T - np.eye(len(left))).max() <= 0.9 + 1e-6
    dropped = np.flatnonzero(found >= 0)
    assert (np.einsum("ij,ij->i", vectors[dropped], vectors[found[dropped]]) > 0.9 - 1e-6).all()


@settings(deadline=None, max_examples=40)
@given(st.permutations(range(30)))
def test_the_order_of_the_rows_does_not_matter(order):
    vectors, scores = directions(30, width=3), np.random.default_rng(2).permutation(30).astype(float)

    def rows_kept(vectors, scores):
        cells = [np.flatnonzero(vectors[:, 0] > 0), np.flatnonzero(vectors[:, 0] <= 0)]
        walk = keep_order(vectors, cells, "score", scores)
        return np.flatnonzero(
            drop_across_cells(vectors, cells, walk, 0.8, drop_within_cells(vectors, cells, walk, 0.8)) < 0
        )

    found = rows_kept(vectors[order], scores[order])
    assert sorted(np.array(order)[found].tolist()) == rows_kept(vectors, scores).tolist()


@pytest.mark.parametrize(("rows", "cells"), [(0, 1), (400, 1), (1_600, 2), (1_000_000, 1_000)])
def test_cells_hold_a_thousand_rows(rows, cells):
    assert default_num_cells(rows) == cells
