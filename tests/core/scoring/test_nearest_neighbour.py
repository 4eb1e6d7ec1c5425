"""The nearest other row: exact, ties to the lowest, copies of each other, zero vectors."""

import numpy as np
import pytest

from mergeit_ops.core.scoring import nearest_neighbour
from mergeit_ops.core.scoring.nearest_neighbour import nearest_neighbours


def test_the_golden_vectors_of_miwv():
    rows, cosines = nearest_neighbours(np.array([(1, 0), (0.8, 0.6), (0, 1), (0.6, 0.8)], np.float32))
    assert rows.tolist() == [1, 3, 3, 1]
    assert cosines == pytest.approx([0.8, 0.96, 0.8, 0.96], abs=1e-6)


@pytest.mark.parametrize("entries", [2**25, 7])
def test_random_rows_get_what_a_whole_matrix_says(monkeypatch, entries):
    monkeypatch.setattr(nearest_neighbour, "_ENTRIES", entries)
    vectors = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    np.fill_diagonal(cosines, -1)
    rows, found = nearest_neighbours(vectors)
    assert rows.tolist() == cosines.argmax(axis=1).tolist()
    assert found == pytest.approx(cosines.max(axis=1), abs=1e-6)


def test_copies_are_each_others_neighbours_and_the_lowest_of_them_is_anybody_elses():
    vectors = np.array([(1, 0), (0, 1), (0, 1), (0.6, 0.8), (0, 1), (0.6, -0.8)], np.float32)
    rows, cosines = nearest_neighbours(vectors)
    assert rows.tolist() == [3, 2, 1, 1, 1, 0]
    assert cosines[[1, 2, 4]].tolist() == [1, 1, 1]
    assert nearest_neighbours(vectors[[0, 3, 5]])[0].tolist() == [1, 0, 0]


def test_ties_go_to_the_lowest_row():
    rows, _ = nearest_neighbours(np.array([(0, 1), (0.8, 0.6), (0.8, -0.6), (1, 0)], np.float32))
    assert rows.tolist() == [1, 3, 3, 1]


def test_without_another_row_or_a_direction_there_is_none():
    rows, cosines = nearest_neighbours(np.array([(0, 0), (1, 0), (0, 0)], np.float32))
    assert rows.tolist() == [-1, -1, -1]
    assert np.isnan(cosines).all()
    assert nearest_neighbours(np.zeros((0, 3), np.float32))[0].tolist() == []
