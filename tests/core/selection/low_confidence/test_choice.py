"""LCG: golden toys of the sheet."""

import numpy as np

from mergeit_ops.core.selection.low_confidence.choice import choose_low_confidence, least_confident
from mergeit_ops.core.selection.low_confidence.classifier import Prediction
from mergeit_ops.core.selection.low_confidence.logistic import Logistic
from mergeit_ops.core.selection.low_confidence.naive_bayes import NaiveBayes
from mergeit_ops.core.selection.method import Pool
from tests.core.selection.low_confidence.toys import POOL, POOL_LABELS, TRAIN, TRAIN_LABELS


def test_golden_order_of_the_least_confident(prediction):
    labels = np.array(POOL_LABELS)
    # d, b, c, e are put into another cluster; then the others by confidence.
    assert least_confident(prediction, labels).tolist() == [3, 1, 2, 4, 5, 0]
    assert least_confident(prediction, labels, misclassified_first=False).tolist() == [3, 1, 2, 5, 4, 0]


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
