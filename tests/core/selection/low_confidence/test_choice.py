"""LCG: golden toys of the sheet."""

import numpy as np
import pytest

from mergeit_ops.core.selection.low_confidence.choice import choose_low_confidence, least_confident
from mergeit_ops.core.selection.low_confidence.classifier import Prediction
from mergeit_ops.core.selection.low_confidence.logistic import Logistic
from mergeit_ops.core.selection.low_confidence.naive_bayes import NaiveBayes
from mergeit_ops.core.selection.low_confidence.near_rows import centre_distances, nearest_rows
from mergeit_ops.core.selection.method import Pool

TRAIN = ["red apple", "red pear", "fast car", "fast bike"]
POOL = ["red apple", "fast pear", "red car", "unknown words", "red red car", "car"]
TRAIN_LABELS = [0, 0, 1, 1]
POOL_LABELS = [0, 0, 1, 1, 1, 1]


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    labels = np.array([*TRAIN_LABELS, *POOL_LABELS])
    found = NaiveBayes().predict(Pool(texts=[*TRAIN, *POOL]), np.arange(4), labels)
    return Prediction(found.predicted[4:], found.confidence[4:], found.margin[4:])


def test_golden_of_naive_bayes(prediction):
    assert prediction.confidence == pytest.approx([0.857143, 0.6, 0.6, 0.5, 0.818182, 0.666667], abs=1e-6)
    assert prediction.predicted.tolist() == [0, 1, 0, 0, 0, 1]
    assert prediction.margin == pytest.approx(2 * prediction.confidence - 1, abs=1e-9)


def test_golden_order_of_the_least_confident(prediction):
    labels = np.array(POOL_LABELS)
    # d, b, c, e are put into another cluster; then the others by confidence.
    assert least_confident(prediction, labels).tolist() == [3, 1, 2, 4, 5, 0]
    assert least_confident(prediction, labels, misclassified_first=False).tolist() == [3, 1, 2, 5, 4, 0]


def test_golden_rows_near_the_centres():
    vectors = np.array([[0], [1], [2], [10], [11], [13]], dtype=np.float32)
    labels = np.array([0, 0, 0, 1, 1, 1])
    distances = centre_distances(vectors, labels)
    near = nearest_rows(distances, labels, 3)
    assert [rows.tolist() for rows in near] == [[1, 0, 2], [4, 3, 5]]
    assert distances[np.concatenate(near)] == pytest.approx([0, 1, 1, 0.333333, 1.333333, 1.666667])
    assert [rows.tolist() for rows in nearest_rows(distances, labels, 40)] == [[1, 0, 2], [4, 3, 5]]


def test_texts_without_a_known_word_have_the_shares_of_the_clusters():
    pool = Pool(texts=["a", "?", "", "a"])
    found = NaiveBayes().predict(pool, np.array([0, 1, 2]), np.array([0, 1, 1, 0]))
    assert found.confidence == pytest.approx([2 / 3] * 4)
    assert found.predicted.tolist() == [1] * 4


def choose(classifier, budget, **parameters):
    labels = np.array([*TRAIN_LABELS, *POOL_LABELS])
    vectors = np.array([[label + place / 100, 1] for place, label in enumerate(labels)], dtype=np.float32)
    # The rows to train on are the nearest ones.
    distances = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 1.0])
    pool = Pool(vectors, texts=[*TRAIN, *POOL])
    return choose_low_confidence(pool, labels, distances, budget, classifier, **parameters)


def test_a_near_row_is_never_taken_twice_and_counts_toward_the_budget():
    found = choose(NaiveBayes(), 5, train_per_cluster=2, near_per_cluster=1)
    assert (found.near.tolist(), found.uncertain.tolist(), found.misclassified) == ([0, 2], [7, 5, 6], 3)
    whole = choose(NaiveBayes(), 10, train_per_cluster=2, near_per_cluster=1)
    assert sorted([*whole.near, *whole.uncertain]) == list(range(10))
    assert whole.misclassified == 4
    assert choose(NaiveBayes(), 2, train_per_cluster=2, near_per_cluster=0).uncertain.tolist() == [7, 5]


def test_logistic_puts_rows_that_it_predicts_right_in_order_by_the_margin():
    found = choose(Logistic(), 6, train_per_cluster=2, near_per_cluster=1)
    assert found.misclassified == 0
    margins = found.prediction.margin[found.uncertain]
    assert (np.diff(margins) >= 0).all()


def test_margins_are_not_confidences():
    # Of three clusters, the surer row may have the smaller margin.
    found = Prediction.of(np.array([[0.5, 0.45, 0.05], [0.4, 0.3, 0.3]]), np.array([0, 1, 2]))
    labels = np.zeros(2, int)
    assert least_confident(found, labels).tolist() == [1, 0]
    assert least_confident(found, labels, by_margin=True).tolist() == [0, 1]


def test_equal_probabilities_go_to_the_lowest_cluster():
    found = Prediction.of(np.array([[0.5 - 1e-16, 0.5], [0.2, 0.8]]), np.array([3, 7]))
    assert found.predicted.tolist() == [3, 7]
