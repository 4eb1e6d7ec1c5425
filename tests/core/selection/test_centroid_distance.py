"""Rows far from the centre: by hand."""

import numpy as np
import pytest

from mergeit_ops.core.selection.centroid_distance import farthest_rows

P6 = np.array([[0], [1], [2], [5], [9], [10]], dtype=np.float32)


def test_the_farthest_rows_come_first():
    # The mean is 4.5: distances 4.5, 3.5, 2.5, .5, 4.5, 5.5. Of the two at 4.5 the first comes first.
    rows, distances = farthest_rows(P6, 4)
    assert rows.tolist() == [5, 0, 4, 1]
    assert distances == pytest.approx([5.5, 4.5, 4.5, 3.5])


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows):
    assert farthest_rows(P6[:rows], rows)[0].tolist() == list(range(rows))


def test_distance_is_euclidean_and_not_cosine():
    # Both rows point the way the mean does, and only one of them is far from it.
    vectors = np.array([[3, 0], [1, 0], [1, 0], [1, 0]], dtype=np.float32)
    assert farthest_rows(vectors, 1)[0].tolist() == [0]
