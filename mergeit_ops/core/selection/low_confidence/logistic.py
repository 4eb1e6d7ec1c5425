"""Logistic regression on embeddings: a classifier for LCG in place of a trained language model."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.fixed_threads import fixed_threads
from mergeit_ops.core.selection.low_confidence.classifier import Prediction
from mergeit_ops.core.selection.method import Need, Pool

_BLOCK_ROWS = 16_384
_ITERATIONS = 1_000


class Logistic:
    """Multinomial logistic regression with the defaults of scikit-learn.

    It sees the vectors from which the clusters were made, so it classifies nearly all rows correctly. Correct rows are
    therefore ranked by how much likelier their cluster is than the next one.
    """

    needs: ClassVar[frozenset[Need]] = frozenset()
    by_margin: ClassVar[bool] = True

    def predict(self, pool: Pool, train: NDArray[np.int64], labels: NDArray[np.int64]) -> Prediction:
        """See `ClusterClassifier`."""
        from sklearn.linear_model import LogisticRegression

        with fixed_threads(len(pool.vectors)):
            model = LogisticRegression(max_iter=_ITERATIONS).fit(pool.vectors[train].astype(np.float64), labels[train])
            return Prediction.joined(
                [
                    Prediction.of(model.predict_proba(pool.vectors[start : start + _BLOCK_ROWS]), model.classes_)
                    for start in range(0, len(pool.vectors), _BLOCK_ROWS)
                ]
            )
