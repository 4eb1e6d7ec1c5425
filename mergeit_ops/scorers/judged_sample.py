"""Which rows a judge is asked about: a sample spread over topics and lengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.topics.clustering import default_num_clusters, fit_topics
from mergeit_ops.core.topics.spreading import seeded_order, spread_order
from mergeit_ops.scorers.text import encodable

__all__ = ["LEAST_ROWS", "MOST_ROWS", "JudgedSample", "draw_sample"]

LEAST_ROWS = 100
"""Fewest rows with a score for training: 80 to learn from, and 20 to measure with."""

MOST_ROWS = 10_000
"""Most rows of a sample: a support vector regression takes four fifths of them in minutes."""

_LOOKED_AT = 20_000
"""Most rows that a sample is drawn from, because all of them are embedded."""


@dataclass(frozen=True)
class JudgedSample:
    """Rows to ask about.

    :param samples: n rows, all different. The first k of them, for any k, are spread over topics and lengths.
    :param drawn_from: number of rows that they were drawn from.
    :param topics: number of topics of those rows.
    """

    samples: Sequence[Sample]
    drawn_from: int
    topics: int


def draw_sample(
    samples: Sequence[Sample],
    ids: Sequence[str],
    count: int,
    encode: Callable[[Sequence[str]], NDArray[np.float32]],
    seed: int = 42,
) -> JudgedSample:
    """Draw rows, independent of their order. A larger sample of the same rows contains the smaller one.

    :param samples: n rows, all different.
    :param ids: of the rows, all different; a hash of their texts.
    :param count: rows wanted, at least 1; all if there are fewer. If there are more than 20,000 rows, the sample is
        drawn from 20,000 of them.
    :param encode: texts to vectors of unit norm, for the topics.
    :param seed: of the draw.
    """
    looked_at = seeded_order(ids, seed)[:_LOOKED_AT]
    pool = [samples[row] for row in looked_at]
    vectors = encode([encodable(sample.query) for sample in pool])
    topics = fit_topics(vectors, default_num_clusters(len(pool)), seed=seed).assign(vectors)
    order = spread_order(topics.tolist(), [len(sample.output) for sample in pool], seed)
    return JudgedSample([pool[row] for row in order[:count]], len(pool), len(np.unique(topics)))
