"""What a classifier of clusters tells about rows."""

import numpy as np

from mergeit_ops.core.selection.low_confidence.classifier import Prediction


def test_equal_probabilities_go_to_the_lowest_cluster():
    found = Prediction.of(np.array([[0.5 - 1e-16, 0.5], [0.2, 0.8]]), np.array([3, 7]))
    assert found.predicted.tolist() == [3, 7]
