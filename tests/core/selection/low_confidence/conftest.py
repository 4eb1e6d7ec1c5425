"""What naive Bayes says about the toy of the sheet."""

import numpy as np
import pytest

from mergeit_ops.core.selection.low_confidence.classifier import Prediction
from mergeit_ops.core.selection.low_confidence.naive_bayes import NaiveBayes
from mergeit_ops.core.selection.method import Pool
from tests.core.selection.low_confidence.toys import POOL, POOL_LABELS, TRAIN, TRAIN_LABELS


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    labels = np.array([*TRAIN_LABELS, *POOL_LABELS])
    found = NaiveBayes().predict(Pool(texts=[*TRAIN, *POOL]), np.arange(4), labels)
    return Prediction(found.predicted[4:], found.confidence[4:], found.margin[4:])
