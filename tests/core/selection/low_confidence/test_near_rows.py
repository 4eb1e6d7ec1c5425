"""The rows nearest to the centre of their cluster."""

import numpy as np
import pytest

from mergeit_ops.core.selection.low_confidence.near_rows import centre_distances, nearest_rows


def test_golden_rows_near_the_centres():
    vectors = np.array([[0], [1], [2], [10], [11], [13]], dtype=np.float32)
    labels = np.array([0, 0, 0, 1, 1, 1])
    distances = centre_distances(vectors, labels)
    near = nearest_rows(distances, labels, 3)
    assert [rows.tolist() for rows in near] == [[1, 0, 2], [4, 3, 5]]
    assert distances[np.concatenate(near)] == pytest.approx([0, 1, 1, 0.333333, 1.333333, 1.666667])
    assert [rows.tolist() for rows in nearest_rows(distances, labels, 40)] == [[1, 0, 2], [4, 3, 5]]
