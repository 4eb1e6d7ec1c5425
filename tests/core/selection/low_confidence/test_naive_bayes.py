"""Naive Bayes over the words of a text: the golden toy of the sheet."""

import numpy as np
import pytest

from mergeit_ops.core.selection.low_confidence.naive_bayes import NaiveBayes
from mergeit_ops.core.selection.method import Pool


def test_golden_of_naive_bayes(prediction):
    assert prediction.confidence == pytest.approx([0.857143, 0.6, 0.6, 0.5, 0.818182, 0.666667], abs=1e-6)
    assert prediction.predicted.tolist() == [0, 1, 0, 0, 0, 1]
    assert prediction.margin == pytest.approx(2 * prediction.confidence - 1, abs=1e-9)


def test_texts_without_a_known_word_have_the_shares_of_the_clusters():
    pool = Pool(texts=["a", "?", "", "a"])
    found = NaiveBayes().predict(pool, np.array([0, 1, 2]), np.array([0, 1, 1, 0]))
    assert found.confidence == pytest.approx([2 / 3] * 4)
    assert found.predicted.tolist() == [1] * 4
