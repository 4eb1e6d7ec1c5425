"""Multinomial naive Bayes over the words of a text, as in LCG's released code."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.selection.low_confidence.classifier import Prediction
from mergeit_ops.core.selection.method import Need, Pool

_BLOCK_ROWS = 16_384


class NaiveBayes:
    """Naive Bayes over counts of words, with the defaults of scikit-learn.

    The defaults are words of at least two letters, in lower case, and Laplace smoothing.

    A text without a known word has the shares of the clusters as probabilities.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"texts"})
    by_margin: ClassVar[bool] = False

    def predict(self, pool: Pool, train: NDArray[np.int64], labels: NDArray[np.int64]) -> Prediction:
        """See `ClusterClassifier`."""
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.naive_bayes import MultinomialNB

        vectorizer = CountVectorizer()
        known = [pool.texts[row] for row in train.tolist()]
        analyze = vectorizer.build_analyzer()
        if not any(analyze(text) for text in known):
            # scikit-learn raises an error if no text has a word.
            clusters, sizes = np.unique(labels[train], return_counts=True)
            shares = np.broadcast_to(sizes / len(train), (len(pool.texts), len(clusters)))
            return Prediction.of(shares, clusters)
        model = MultinomialNB().fit(vectorizer.fit_transform(known), labels[train])
        parts = []
        for start in range(0, len(pool.texts), _BLOCK_ROWS):
            counts = vectorizer.transform(pool.texts[start : start + _BLOCK_ROWS])
            parts.append(Prediction.of(model.predict_proba(counts), model.classes_))
        return Prediction.joined(parts)
