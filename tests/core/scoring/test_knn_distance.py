"""Distances to the k-th nearest other row: golden values, against every pair, copies."""

import numpy as np
import pytest

from mergeit_ops.core.scoring import knn_distance
from mergeit_ops.core.scoring.knn_distance import knn_distances

P6 = np.array([[0], [1], [2], [5], [9], [10]], np.float32)
X6 = np.array([(1, 0), (0.6, 0.8), (0, 1), (-1, 0), (0, -1), (0.8, 0.6)], np.float32)


@pytest.mark.parametrize(
    ("vectors", "expected"),
    [
        (P6, [2, 1, 2, 4, 4, 5]),
        (X6, [0.894427, 0.632456, 0.894427, 1.414214, 1.414214, 0.632456]),
    ],
)
def test_golden_values_for_the_second_neighbour(vectors, expected):
    np.testing.assert_allclose(knn_distances(vectors, 2), expected, atol=1e-6)


@pytest.mark.parametrize("k", [1, 6, 39])
def test_every_distance_is_that_of_all_pairs_whatever_the_blocks(monkeypatch, k):
    vectors = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    gaps = np.linalg.norm(vectors[:, None].astype(float) - vectors[None].astype(float), axis=2)
    np.fill_diagonal(gaps, np.inf)
    expected = np.sort(gaps, axis=1)[:, k - 1]
    np.testing.assert_allclose(knn_distances(vectors, k), expected, atol=1e-6)
    monkeypatch.setattr(knn_distance, "_ENTRIES", 7 * 40)
    np.testing.assert_allclose(knn_distances(vectors, k), expected, atol=1e-6)


def test_copies_are_neighbours_at_distance_zero():
    vectors = np.array([(1, 0), (1, 0), (0, 1)], np.float32)
    np.testing.assert_allclose(knn_distances(vectors, 1), [0, 0, np.sqrt(2)], atol=1e-7)
