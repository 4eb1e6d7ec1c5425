"""Classifiers of clusters, and their predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.selection.method import Need, Pool

__all__ = ["ClusterClassifier", "Prediction"]

_DIGITS = 12  # equal probabilities may differ in later digits


@dataclass(frozen=True)
class Prediction:
    """A classifier's prediction for n rows.

    :param predicted: (n,) the likeliest cluster of each row; the lowest of equally likely ones.
    :param confidence: (n,) probability of this cluster.
    :param margin: (n,) difference to the probability of the next likely cluster.
    """

    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    margin: NDArray[np.float64]

    @classmethod
    def of(cls, probabilities: NDArray[np.float64], clusters: NDArray[np.int64]) -> Prediction:
        """Return the prediction of given probabilities.

        :param probabilities: (n, k).
        :param clusters: (k,) the cluster of each column, ascending.
        """
        rounded = np.round(probabilities, _DIGITS)
        best = rounded.argmax(axis=1)
        rows = np.arange(len(rounded))
        confidence = rounded[rows, best]
        if rounded.shape[1] > 1:
            rounded[rows, best] = -1
            margin = confidence - rounded.max(axis=1)
        else:
            margin = confidence
        return cls(clusters[best].astype(np.int64), confidence, margin)

    @classmethod
    def joined(cls, parts: list[Prediction]) -> Prediction:
        """Join the predictions for blocks of rows, at least one block."""
        return cls(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in ("predicted", "confidence", "margin"))
        )


class ClusterClassifier(Protocol):
    """Learns the clusters of some rows, and predicts the clusters of all rows."""

    needs: ClassVar[frozenset[Need]]
    """What the classifier needs to know about the rows besides their vectors."""

    by_margin: ClassVar[bool]
    """Whether correctly classified rows are ordered by the margin; otherwise by the confidence."""

    def predict(self, pool: Pool, train: NDArray[np.int64], labels: NDArray[np.int64]) -> Prediction:
        """Train on some rows, and predict all.

        :param pool: n rows.
        :param train: positions of the rows to train on.
        :param labels: (n,) the cluster of each row; at least two among those to train on.
        """
        ...
