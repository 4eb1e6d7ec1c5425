"""The selection of LCG: the rows nearest to the centres, and those that the classifier is least sure about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.selection.low_confidence.classifier import ClusterClassifier, Prediction
from mergeit_ops.core.selection.low_confidence.near_rows import nearest_rows
from mergeit_ops.core.selection.method import Pool

__all__ = ["LowConfidenceChoice", "choose_low_confidence", "least_confident"]


@dataclass(frozen=True)
class LowConfidenceChoice:
    """The chosen rows.

    :param near: positions of the rows nearest to the centres, by cluster, the nearest first.
    :param uncertain: positions of the rows with a low confidence, the lowest first.
    :param prediction: the classifier's prediction for all rows.
    :param misclassified: number of uncertain rows that the classifier puts into a wrong cluster.
    """

    near: NDArray[np.int64]
    uncertain: NDArray[np.int64]
    prediction: Prediction
    misclassified: int


def choose_low_confidence(
    pool: Pool,
    labels: NDArray[np.int64],
    distances: NDArray[np.float64],
    budget: int,
    classifier: ClusterClassifier,
    train_per_cluster: int = 40,
    near_per_cluster: int = 20,
    misclassified_first: bool = True,
) -> LowConfidenceChoice:
    """Train a classifier on the rows nearest to the centres, and choose rows by its predictions.

    :param pool: n rows.
    :param labels: (n,) cluster of each row. If there is only one cluster, every row belongs to it with certainty.
    :param distances: (n,) of each row to the centre of its cluster.
    :param budget: rows to choose, including the near ones. If these exceed it, the nearest row of each cluster comes
        before the second nearest of any.
    :param classifier: classifier that learns the clusters.
    :param train_per_cluster: rows of each cluster to train it on.
    :param near_per_cluster: rows of each cluster that are chosen because they are near.
    :param misclassified_first: see `least_confident`.
    """
    train = np.concatenate(nearest_rows(distances, labels, train_per_cluster))
    if len(np.unique(labels)) > 1:
        prediction = classifier.predict(pool, train, labels)
    else:
        prediction = Prediction(labels, np.ones(len(labels)), np.ones(len(labels)))
    near = _near(nearest_rows(distances, labels, near_per_cluster), budget)
    left = np.ones(len(labels), dtype=bool)
    left[near] = False
    rows = np.flatnonzero(left)
    order = least_confident(prediction, labels, misclassified_first, classifier.by_margin)
    uncertain = order[left[order]][: min(budget - len(near), len(rows))]
    return LowConfidenceChoice(near, uncertain, prediction, int((prediction.predicted != labels)[uncertain].sum()))


def _near(groups: list[NDArray[np.int64]], budget: int) -> NDArray[np.int64]:
    sizes = [len(group) for group in groups]
    clusters = np.repeat(np.arange(len(groups)), sizes)
    places = np.concatenate([np.zeros(0, np.int64), *map(np.arange, sizes)])
    kept = np.sort(np.lexsort((clusters, places))[:budget])
    return np.concatenate([np.zeros(0, np.int64), *groups])[kept]


def least_confident(
    prediction: Prediction, labels: NDArray[np.int64], misclassified_first: bool = True, by_margin: bool = False
) -> NDArray[np.int64]:
    """Return rows in the order of the classifier's certainty, the least certain first.

    :param prediction: its prediction for n rows.
    :param labels: (n,) clusters of the rows.
    :param misclassified_first: whether misclassified rows come before all others; otherwise only the confidence counts.
    :param by_margin: whether correctly classified rows are ordered by the margin to the next likely cluster; otherwise
        by the confidence.
    :return: (n,) positions; ties keep their order.
    """
    right = prediction.predicted == labels
    confidence = prediction.confidence
    if not misclassified_first:
        return np.argsort(prediction.margin if by_margin else confidence, kind="stable")
    sure = np.where(right, prediction.margin, confidence) if by_margin else confidence
    return np.lexsort((sure, right))
