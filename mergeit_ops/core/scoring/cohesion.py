"""How the sentences of an answer fit together, from their embeddings, which reveals padding and foreign text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

COHESION_NAMES: tuple[str, ...] = (
    "query_sentence_cosine_lowest",
    "query_sentence_cosine_mean",
    "query_sentence_cosine_highest",
    "query_sentence_cosine_first",
    "query_sentence_cosine_last",
    "sentence_rest_cosine_lowest",
    "sentence_rest_cosine_mean",
    "sentence_rest_cosine_last",
    "sentence_neighbour_cosine_lowest",
    "sentence_neighbour_cosine_mean",
    "sentence_tie_lowest",
    "sentence_tie_mean",
    "loose_words_share",
    "very_loose_words_share",
    "distant_words_share",
    "attached_log_words",
)
"""Names of the values of `cohesion`, in order.

Means weight a sentence by its words. `rest`: the sum of the other sentences; `neighbour`: the most similar other
sentence; `tie`: the larger of that similarity and the similarity to the query. Words are `loose` in sentences with a
tie below 0.25 (`very_loose`: 0.15), `distant` in sentences with a cosine below 0.15 to the query, and `attached` if
they are not loose.
"""

_LOOSE, _VERY_LOOSE, _DISTANT = 0.25, 0.15, 0.15


def cohesion(query: NDArray[np.float32], sentences: NDArray[np.float32], words: NDArray[np.float64]) -> list[float]:
    """Measure how an answer's sentences relate to the query and to each other.

    :param query: (d,) of unit norm.
    :param sentences: (m, d) of unit norm, m >= 1.
    :param words: (m,) length of each sentence, > 0.
    :return: the values of `COHESION_NAMES`. A single sentence has no other sentences, so its `rest` and `neighbour`
        cosines are 1.
    """
    to_query = sentences @ query
    if len(sentences) == 1:
        to_rest = to_neighbour = np.ones(1, dtype=np.float32)
    else:
        weighted = sentences * words[:, None]
        rest = weighted.sum(axis=0) - weighted
        to_rest = np.sum(sentences * rest, axis=1) / np.maximum(np.linalg.norm(rest, axis=1), 1e-9)
        similarities = sentences @ sentences.T
        np.fill_diagonal(similarities, -1.0)
        to_neighbour = similarities.max(axis=1)
    tie = np.maximum(to_query, to_neighbour) if len(sentences) > 1 else to_query
    share = words / words.sum()
    return [
        float(to_query.min()),
        float(to_query @ share),
        float(to_query.max()),
        float(to_query[0]),
        float(to_query[-1]),
        float(to_rest.min()),
        float(to_rest @ share),
        float(to_rest[-1]),
        float(to_neighbour.min()),
        float(to_neighbour @ share),
        float(tie.min()),
        float(tie @ share),
        float(share[tie < _LOOSE].sum()),
        float(share[tie < _VERY_LOOSE].sum()),
        float(share[to_query < _DISTANT].sum()),
        float(np.log1p(words[tie >= _LOOSE].sum())),
    ]
