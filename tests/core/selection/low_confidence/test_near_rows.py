"""The rows nearest to the centre of their cluster."""

import numpy as np
import pytest

from mergeit_ops.core.selection.low_confidence.near_rows import centre_distances, nearest_rows
from tests.core.selection.toys import directions


def test_golden_rows_near_the_centres():
    vectors = np.array([[0], [1], [2], [10], [11], [13]], dtype=np.float32)
    labels = np.array([0, 0, 0, 1, 1, 1])
    distances = centre_distances(vectors, labels)
    near = nearest_rows(distances, labels, 3)
    assert [rows.tolist() for rows in near] == [[1, 0, 2], [4, 3, 5]]
    assert distances[np.concatenate(near)] == pytest.approx([0, 1, 1, 0.333333, 1.333333, 1.666667])
    assert [rows.tolist() for rows in nearest_rows(distances, labels, 40)] == [[1, 0, 2], [4, 3, 5]]


def test_a_cluster_without_rows_and_no_rows_at_all():
    assert nearest_rows(np.zeros(0), np.zeros(0, int), 3) == []
    assert [rows.tolist() for rows in nearest_rows(np.array([0.5, 0.5]), np.array([4, 2]), 1)] == [[1], [0]]
    assert [rows.tolist() for rows in nearest_rows(np.array([0.5, 0.5]), np.array([4, 2]), 0)] == [[], []]


def test_distances_to_fitted_centroids_are_measured_in_their_reduced_space():
    from mergeit_ops.core.topics.clustering import fit_topics

    vectors = directions(60, 6)
    for pca_variance in (None, 0.8):
        model = fit_topics(vectors, 3, pca_variance, 0)
        labels = model.assign(vectors)
        rows = vectors if model.pca is None else model.pca.transform(vectors)
        expected = np.linalg.norm(rows - model.kmeans.cluster_centers_[labels], axis=1)
        assert centre_distances(vectors, labels, model) == pytest.approx(expected, abs=1e-5)
