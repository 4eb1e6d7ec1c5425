"""The typical words of a topic."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mergeit_ops.core.text.words import LETTERS, UNSPACED

__all__ = ["MORE_STOP_WORDS", "typical_words"]

_TEXTS_PER_TOPIC = 200
_CHARACTERS_PER_TEXT = 600
# Letters of any script, with an apostrophe or hyphen inside; scripts without spaces between words are separate.
_WORD = re.compile(rf"[{UNSPACED}]+|{LETTERS}(?:['’-]{LETTERS})*")
MORE_STOP_WORDS = frozenset(
    ("did", "does", "doing", "don't", "doesn't", "isn't", "it's", "i'm", "let", "just", "like", "that's")
)
"""English stop words that are missing in scikit-learn's list."""
_STARTS_UNSPACED = re.compile(rf"[{UNSPACED}]")


def typical_words(texts: Mapping[int, Sequence[str]], count: int = 4) -> dict[int, list[str]]:
    """Return, for each topic, words that many of its texts and few other topics contain.

    Class-based tf-idf (Grootendorst, arXiv 2203.05794) over the number of texts with a word, so that one long text does
    not dominate its topic. English stop words are left out. In scripts without spaces, pairs of characters count as
    words. To limit the work, only 200 texts of each topic, evenly spread, and the first 600 characters of each are
    read.

    :param texts: maps each topic to the texts of its rows.
    :param count: words per topic, >= 1.
    :return: maps each topic to at most `count` words, most typical first; empty for topics without words.
    """
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

    topics = sorted(texts)
    counted = [_texts_with_word(_spread(texts[topic])) for topic in topics]
    if not any(counted):
        return {topic: [] for topic in topics}
    vectorizer = CountVectorizer(analyzer=_repeated)
    counts = csr_matrix(vectorizer.fit_transform(counted), dtype=np.float64)
    words = vectorizer.get_feature_names_out()
    per_topic = np.asarray(counts.sum(axis=1)).ravel()
    per_word = np.asarray(counts.sum(axis=0)).ravel()
    rarity = np.log1p(per_topic.mean() / per_word)
    return {topic: _best(counts[[row]], rarity, words, count) for row, topic in enumerate(topics)}


def _best(counts: Any, rarity: Any, words: Any, count: int) -> list[str]:
    weights = counts.data * rarity[counts.indices]
    # Ties are ordered by spelling, so that the words do not depend on the order of the rows.
    ranked = sorted(zip(-weights, words[counts.indices], strict=True))
    return [str(word) for _, word in ranked[:count]]


def _repeated(counted: Counter[str]) -> Iterable[str]:
    return counted.elements()


def _texts_with_word(texts: Iterable[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for text in texts:
        found.update(set(_words(text)))
    return found


def _words(text: str) -> Iterable[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    for match in _WORD.finditer(text[:_CHARACTERS_PER_TEXT].lower()):
        word = match.group()
        if _STARTS_UNSPACED.match(word):
            yield from (word[i : i + 2] for i in range(max(1, len(word) - 1)))
        elif len(word) > 1 and word not in ENGLISH_STOP_WORDS and word not in MORE_STOP_WORDS:
            yield word


def _spread(texts: Sequence[str]) -> list[str]:
    if len(texts) <= _TEXTS_PER_TOPIC:
        return list(texts)
    return [texts[i] for i in np.linspace(0, len(texts) - 1, _TEXTS_PER_TOPIC).astype(int)]
