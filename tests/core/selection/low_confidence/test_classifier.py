"""What a classifier of clusters tells about rows."""

import numpy as np
import pytest

from mergeit_ops.core.selection.low_confidence.classifier import Prediction


def test_equal_probabilities_go_to_the_lowest_cluster():
    found = Prediction.of(np.array([[0.5 - 1e-16, 0.5], [0.2, 0.8]]), np.array([3, 7]))
    assert found.predicted.tolist() == [3, 7]


def test_the_margin_is_to_the_next_likely_cluster():
    found = Prediction.of(np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]]), np.array([2, 4, 6]))
    assert found.predicted.tolist() == [2, 6]
    assert found.confidence.tolist() == [0.5, 0.7]
    assert found.margin == pytest.approx([0.2, 0.5])


def test_of_one_cluster_every_row_is_certain():
    found = Prediction.of(np.ones((2, 1)), np.array([5]))
    assert (found.predicted.tolist(), found.margin.tolist()) == ([5, 5], [1, 1])


def test_what_is_read_stays_as_it_was_and_blocks_are_joined():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6]])
    kept = probabilities.copy()
    whole = Prediction.of(probabilities, np.array([0, 1]))
    np.testing.assert_array_equal(probabilities, kept)
    joined = Prediction.joined([Prediction.of(probabilities[row : row + 1], np.array([0, 1])) for row in range(2)])
    assert joined.predicted.tolist() == whole.predicted.tolist()
    assert joined.margin.tolist() == whole.margin.tolist()
