"""The numbers of clusters, which do not depend on the processor."""

import numpy as np

from mergeit_ops.core.selection.low_confidence.method import numbered_by_first_row


def test_labels_are_numbered_in_the_order_of_the_rows():
    labels = np.array([7, 2, 7, 5, 2])
    np.testing.assert_array_equal(numbered_by_first_row(labels), [0, 1, 0, 2, 1])


def test_another_numbering_of_the_same_clusters_gives_the_same_labels():
    rng = np.random.default_rng(0)
    labels = rng.integers(6, size=50)
    np.testing.assert_array_equal(numbered_by_first_row(labels), numbered_by_first_row(rng.permutation(6)[labels]))


def test_there_may_be_no_rows():
    assert len(numbered_by_first_row(np.zeros(0, dtype=np.int64))) == 0
