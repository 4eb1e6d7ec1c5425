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
"""Rows with a score that training takes: 80 to learn from, and 20 to measure with."""

MOST_ROWS = 10_000
"""Rows of a sample at most: four fifths of them are as many as a support vector regression takes in minutes."""

_LOOKED_AT = 20_000
"""Rows that a sample is drawn from at most: all of them are embedded."""


@dataclass(frozen=True)
class JudgedSample:
    """Rows to ask about.

    :param samples: n rows, all different. Every beginning of them is spread over topics and lengths.
    :param drawn_from: rows that they were drawn from.
    :param topics: topics of those.
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
    """Draw rows, whatever order they stand in. A larger sample of the same rows holds the smaller one.

    :param samples: n rows, all different.
    :param ids: of the rows, all different; a hash of their texts.
    :param count: rows wanted, at least 1; all where there are fewer. Of more than 20,000 rows, 20,000 are looked at.
    :param encode: texts to vectors of unit norm, for the topics.
    :param seed: of the draw.
    """
    looked_at = seeded_order(ids, seed)[:_LOOKED_AT]
    pool = [samples[row] for row in looked_at]
    vectors = encode([encodable(sample.query) for sample in pool])
    topics = fit_topics(vectors, default_num_clusters(len(pool)), seed=seed).assign(vectors)
    order = spread_order(topics.tolist(), [len(sample.output) for sample in pool], seed)
    return JudgedSample([pool[row] for row in order[:count]], len(pool), len(np.unique(topics)))
