"""Logistic regression on embeddings as a classifier of clusters."""

import numpy as np
import pytest

from mergeit_ops.core.selection.low_confidence import logistic
from mergeit_ops.core.selection.low_confidence.logistic import Logistic
from mergeit_ops.core.selection.method import Pool
from tests.core.selection.toys import directions


def test_rows_between_two_clusters_are_the_least_certain():
    vectors = np.array([(1, 0), (0.98, 0.2), (0.7071, 0.7071), (0.2, 0.98), (0, 1)], dtype=np.float32)
    found = Logistic().predict(Pool(vectors), np.array([0, 1, 3, 4]), np.array([7, 7, 7, 9, 9]))
    assert found.predicted.tolist()[:2] == [7, 7]
    assert found.predicted.tolist()[3:] == [9, 9]
    assert found.confidence.argmin() == found.margin.argmin() == 2
    assert found.confidence[2] == pytest.approx(0.5, abs=0.01)


def test_blocks_make_no_difference(monkeypatch):
    vectors = directions(40)
    labels = np.arange(40) % 3
    whole = Logistic().predict(Pool(vectors), np.arange(20), labels)
    monkeypatch.setattr(logistic, "_BLOCK_ROWS", 7)
    parts = Logistic().predict(Pool(vectors), np.arange(20), labels)
    np.testing.assert_array_equal(whole.predicted, parts.predicted)
    np.testing.assert_array_equal(whole.confidence, parts.confidence)
