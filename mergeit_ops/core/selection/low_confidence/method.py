"""LCG as methods that choose rows: naive Bayes over words, or logistic regression on embeddings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.selection.low_confidence.choice import LowConfidenceChoice, choose_low_confidence
from mergeit_ops.core.selection.low_confidence.classifier import ClusterClassifier
from mergeit_ops.core.selection.low_confidence.logistic import Logistic
from mergeit_ops.core.selection.low_confidence.naive_bayes import NaiveBayes
from mergeit_ops.core.selection.low_confidence.near_rows import centre_distances
from mergeit_ops.core.selection.method import Need, Pool, Selection, SelectionMethod
from mergeit_ops.core.topics.cells import find_cells

__all__ = ["LogisticConfidence", "LowConfidence", "NaiveBayesConfidence", "default_num_clusters"]

CONFIDENCE, PREDICTED, LABEL, PART = "lcg_confidence", "lcg_predicted", "lcg_label", "lcg_part"


def default_num_clusters(n: int) -> int:
    """Return the number of clusters for n rows: floor(sqrt(n / 32)), which is 40 for Alpaca, and at least 2."""
    return max(2, math.isqrt(n // 32))


def numbered_by_first_row(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Renumber labels: 0 for the label of the first row, 1 for the next label that appears, and so on.

    K-means finds the same clusters on every processor, but not always under the same numbers.

    :param labels: (n,) label of each row.
    """
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


@dataclass(frozen=True)
class LowConfidence(SelectionMethod):
    """The rows nearest to the centres of clusters, and those that a classifier of the clusters is least sure about.

    :param num_clusters: number of clusters; None: see `default_num_clusters`.
    :param topic_key: the field that holds the cluster of each row; None: K-means finds clusters.
    :param pca_variance: see `fit_topics`.
    :param train_per_cluster: see `choose_low_confidence`.
    :param num_per_cluster_near: rows of each cluster that are chosen because they are near its centre.
    :param misclassified_first: see `least_confident`.
    :param seed: seed of K-means.
    """

    num_clusters: int | None = None
    topic_key: str | None = None
    pca_variance: float | None = 0.95
    train_per_cluster: int = 40
    num_per_cluster_near: int = 20
    misclassified_first: bool = True
    seed: int = 42

    classifier: ClassVar[ClusterClassifier]
    """Learns the clusters."""

    selected: ClassVar[str] = "the least certain"
    stats: ClassVar[Mapping[str, type]] = {CONFIDENCE: float, PREDICTED: int, LABEL: int, PART: str}
    whole_only: ClassVar[bool] = True
    # If the rows near the centres fill the budget, they are the whole selection.
    nested: ClassVar[bool] = False

    @property
    def needs(self) -> frozenset[Need]:
        """See `SelectionMethod`."""
        topics: frozenset[Need] = frozenset() if self.topic_key is None else frozenset({"topics"})
        return self.classifier.needs | topics | {"vectors"}

    def select(self, pool: Pool, budget: int) -> Selection:
        """Choose rows: those near the centres, by cluster, and then the least certain ones. There are no gains."""
        if self.topic_key is None:
            count = default_num_clusters(len(pool.vectors)) if self.num_clusters is None else self.num_clusters
            cells = find_cells(pool.vectors, count, self.pca_variance, self.seed)
            distances = centre_distances(pool.vectors, cells.labels, cells.model)
            labels = numbered_by_first_row(cells.labels)
        else:
            labels, distances = pool.topics, centre_distances(pool.vectors, pool.topics)
        found = choose_low_confidence(
            pool,
            labels,
            distances,
            budget,
            self.classifier,
            self.train_per_cluster,
            self.num_per_cluster_near,
            self.misclassified_first,
        )
        chosen = np.concatenate([found.near, found.uncertain])
        counts = {
            "clusters": len(np.unique(labels)),
            "near": len(found.near),
            "low_confidence": len(found.uncertain),
            "misclassified": found.misclassified,
        }
        return Selection(chosen, np.zeros(len(chosen)), counts=counts, stats=_stats(found, chosen, labels))


def _stats(
    found: LowConfidenceChoice, chosen: NDArray[np.int64], labels: NDArray[np.int64]
) -> Mapping[str, Sequence[Any]]:
    prediction = found.prediction
    return {
        CONFIDENCE: prediction.confidence[chosen].tolist(),
        PREDICTED: prediction.predicted[chosen].tolist(),
        LABEL: labels[chosen].tolist(),
        PART: ["near"] * len(found.near) + ["low_confidence"] * len(found.uncertain),
    }


@dataclass(frozen=True)
class NaiveBayesConfidence(LowConfidence):
    """Low confidence of naive Bayes over the words of the instruction."""

    classifier: ClassVar[ClusterClassifier] = NaiveBayes()


@dataclass(frozen=True)
class LogisticConfidence(LowConfidence):
    """Low confidence of logistic regression on the embeddings."""

    classifier: ClassVar[ClusterClassifier] = Logistic()
