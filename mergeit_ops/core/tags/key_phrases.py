"""Key phrases of texts: one or a few words that are rare among all texts, but not unique."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from mergeit_ops.core.tags.rule_form import singular
from mergeit_ops.core.text.words import LETTERS, MARKS, UNSPACED
from mergeit_ops.core.topics.words import MORE_STOP_WORDS

__all__ = ["KeyPhrases", "count_phrases"]

_ASKED_FOR = """
    bill call cry describe detail fill find fire interest mill mine move name part show system
"""
_NO_STOP_WORDS = frozenset(_ASKED_FOR.split())
"""Words that instructions ask for or are about, although scikit-learn treats them as stop words."""


def count_phrases(texts: Iterable[str], words: int, known: Collection[str]) -> Counter[str]:
    """Count the texts that contain each phrase of a number of words.

    A phrase can be frequent only if its parts are. So phrases of more than one word are counted only if the phrase
    without its first word and the phrase without its last word are known.

    :param texts: any texts.
    :param words: words in a phrase, >= 1.
    :param known: frequent phrases with one word less; not used for one word.
    """
    found: Counter[str] = Counter()
    for text in texts:
        phrases = {phrase for run in _runs(text) for phrase in _phrases(run, words)}
        if words == 1:
            found.update(" ".join(phrase) for phrase in phrases)
        else:
            found.update(
                " ".join(phrase)
                for phrase in phrases
                if " ".join(phrase[1:]) in known and " ".join(phrase[:-1]) in known
            )
    return found


@dataclass(frozen=True, eq=False)
class KeyPhrases:
    """Finds the key phrases of texts by tf-idf.

    :param counts: number of texts with each candidate phrase.
    :param texts: number of texts.
    :param words: most words in a phrase.
    :param most: most phrases of a text.
    """

    counts: Mapping[str, int]
    texts: int
    words: int
    most: int

    def of(self, text: str) -> list[str]:
        """Return the key phrases of one of the texts, those with the highest weight first.

        The weight of a phrase is its count in the text, times ln((1 + n) / (1 + c)) + 1 for a phrase in c of n texts. A
        phrase that shares a word with a chosen one is left out. Equal weights go to the longer phrase, then to the
        earlier one.

        :param text: any text.
        """
        found: Counter[str] = Counter()
        for run in _runs(text):
            for length in range(1, self.words + 1):
                found.update(phrase for phrase in map(" ".join, _phrases(run, length)) if phrase in self.counts)
        chosen: list[str] = []
        used: set[str] = set()
        for phrase in sorted(found, key=lambda phrase: (-found[phrase] * self._rarity(phrase), -phrase.count(" "))):
            words = phrase.split(" ")
            if used.isdisjoint(words):
                chosen.append(phrase)
                used.update(words)
        return chosen[: self.most]

    def _rarity(self, phrase: str) -> float:
        return math.log((1 + self.texts) / (1 + self.counts[phrase])) + 1


def _runs(text: str) -> Iterator[list[str]]:
    """Yield the words between two marks, in lower case and in the singular, without numbers and stop words.

    A run of characters of a script without spaces yields its pairs of characters, each as a separate run.
    """
    stop_words = _stop_words()
    run: list[str] = []
    for match in _tokens().finditer(unicodedata.normalize("NFC", text.lower())):
        token = match.group()
        if match.lastgroup == "word":
            if len(token) > 1 and token not in stop_words:
                run.append(singular(token))
        else:
            yield run
            run = []
            if match.lastgroup == "unspaced":
                yield from ([token[i : i + 2]] for i in range(max(1, len(token) - 1)))
    yield run


def _phrases(run: list[str], words: int) -> Iterator[tuple[str, ...]]:
    return zip(*(run[start:] for start in range(words)), strict=False)


@lru_cache(maxsize=1)
def _tokens() -> re.Pattern[str]:
    word = rf"{LETTERS}(?:['’-]{LETTERS})*"
    return re.compile(rf"(?P<unspaced>[{UNSPACED}]+)|(?P<word>{word})|(?P<mark>[^\w\s{MARKS}]|\n)")


@lru_cache(maxsize=1)
def _stop_words() -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return (ENGLISH_STOP_WORDS | MORE_STOP_WORDS) - _NO_STOP_WORDS
