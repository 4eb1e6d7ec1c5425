"""The choice of LCG: the rows nearest to the centres, and those that the classifier is least sure about."""

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
    """What was chosen.

    :param near: positions of the rows nearest to the centres: by cluster, the nearest first.
    :param uncertain: positions of the rows with a low confidence, the lowest first.
    :param prediction: what the classifier says about all rows.
    :param misclassified: how many of the uncertain rows the classifier puts into another cluster.
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
    """Train a classifier on the rows nearest to the centres, and choose rows by what it says.

    :param pool: n rows.
    :param labels: (n,) the cluster of each. If there is only one, every row is certainly of it.
    :param distances: (n,) of each row to the centre of its cluster.
    :param budget: rows to choose; the near ones count toward it. If they exceed it, the nearest of each cluster come
        before the second nearest.
    :param classifier: learns the clusters.
    :param train_per_cluster: rows of each cluster that it is trained on.
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
    """Return rows by how sure a classifier is about them, the least sure first.

    :param prediction: what it says about n rows.
    :param labels: (n,) their clusters.
    :param misclassified_first: whether rows that are put into another cluster come before all others; else the
        confidence alone counts.
    :param by_margin: whether rows that are put into their own cluster are in order by the margin to the next likely
        one; else by the confidence.
    :return: (n,) positions; of equally sure ones the first row.
    """
    right = prediction.predicted == labels
    confidence = prediction.confidence
    if not misclassified_first:
        return np.argsort(prediction.margin if by_margin else confidence, kind="stable")
    sure = np.where(right, prediction.margin, confidence) if by_margin else confidence
    return np.lexsort((sure, right))
