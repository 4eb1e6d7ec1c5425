"""How repetitive a text is: the same words again and again in direct succession."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.text.words import LETTERS, UNSPACED

__all__ = ["loop_score"]

_WINDOW, _SHORTEST_WINDOW = 128, 48  # words of the window in which the share is measured
_SHORT_PERIODS = range(1, 17)
_LONGEST_PERIOD = 2_000
_BLOCK = 512  # words whose likely periods are searched together
_PERIODS_OF_BLOCK, _FEWEST_VOTES = 4, 4
_NGRAM = 4  # words
_TWICE_FROM = 12  # words; shorter sequences must occur three times
_FAR_NGRAM, _FAR_COPIES = 20, 4
_FAR_WORDS = 10  # words of the n-gram besides numbers and single letters

# In mathematics and tables, numbers and single letters repeat. This many of them without a word between are not a loop.
_NUMBER, _LETTER, _WORD = range(3)
_FREE = (128, 32, 0)

_LONGEST = 20  # characters of a piece, because an endless word is itself a loop
_TOKEN = re.compile(rf"\\[a-z]+|\d+(?:[.,:/]\d+)*|[{UNSPACED}]|{LETTERS}|[^\w\s]{{40,80}}")
"""Commands of LaTeX, numbers, words, and sequences of signs that are too long for a line in a table."""
_UNSPACED = re.compile(f"[{UNSPACED}]")


def loop_score(text: str) -> float:
    """Return how repetitive the most repetitive part of a text is.

    It is the share of words in a loop, within the most repetitive window of 128 words. Words are in a loop if their
    sequence occurs at least three times in direct succession, or twice if it has at least 12 words, or if they belong
    to 20 words that occurred at least three times before, anywhere. Case, white space and punctuation are ignored.
    Numbers, single letters and commands of LaTeX may repeat as in equations and tables: 128 or 32 of them in a row are
    not a loop.

    The time is linear in the length of the text.

    :param text: any text; each character of a script without spaces counts as a word.
    :return: from 0, for a text without loops, to 1.
    """
    codes, kinds = _words(text)
    if not len(codes):
        return 0.0
    looped = np.zeros(len(codes), dtype=bool)
    for period in _SHORT_PERIODS:
        _mark(looped, codes, kinds, period, 0, len(codes))
    for period, start, stop in _long_periods(codes):
        _mark(looped, codes, kinds, period, start, stop)
    _mark_far(looped, codes, kinds)
    window = min(len(codes), _WINDOW)
    counts = np.concatenate(([0], np.cumsum(looped)))
    return min(1.0, float((counts[window:] - counts[:-window]).max()) / max(window, _SHORTEST_WINDOW))


def _words(text: str) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """Return a number for each word, equal for equal words, and its kind."""
    words = _TOKEN.findall(text.lower())
    if any(len(word) > _LONGEST for word in words):
        words = [word[start : start + _LONGEST] for word in words for start in range(0, len(word), _LONGEST)]
    numbers: dict[str, int] = {}
    codes = [numbers.setdefault(word, len(numbers)) for word in words]
    kinds = np.array(list(map(_kind, numbers)), dtype=np.int8)
    return np.array(codes, dtype=np.int64), kinds[codes] if codes else kinds


def _kind(word: str) -> int:
    if word[0] == "\\":
        return _LETTER
    if not word[0].isalpha():
        return _NUMBER
    return _WORD if len(word) > 1 or _UNSPACED.match(word) else _LETTER


def _mark(
    looped: NDArray[np.bool_], codes: NDArray[np.int64], kinds: NDArray[np.int8], period: int, start: int, stop: int
) -> None:
    """Mark the words of a stretch that repeat the words one period before, if the repetition is long enough."""
    start = max(start, period)
    if stop <= start:
        return
    same = codes[start:stop] == codes[start - period : stop - period]
    edges = np.flatnonzero(np.diff(same, prepend=False, append=False))
    begins, ends = edges[::2], edges[1::2]
    lengths = ends - begins
    enough = (lengths >= max(2 * period, 4)) | (lengths >= max(period, _TWICE_FROM))
    for begin, end in zip((begins[enough] + start).tolist(), (ends[enough] + start).tolist(), strict=True):
        free = _FREE[kinds[begin - period : begin].max()]
        looped[begin + free : end] = True


def _long_periods(codes: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """Yield longer periods of stretches, by the distance of their n-grams from their last copies."""
    if len(codes) < 2 * _SHORT_PERIODS.stop:
        return
    grams = _ngrams(codes, _NGRAM)
    order = np.argsort(grams, kind="stable")
    before = np.full(len(grams), -1)
    again = grams[order[1:]] == grams[order[:-1]]
    before[order[1:][again]] = order[:-1][again]
    distances = np.arange(len(grams)) - before
    far = (before < 0) | (distances < _SHORT_PERIODS.stop) | (distances > _LONGEST_PERIOD)
    distances[far] = 0
    blocks: dict[int, list[int]] = {}
    for block, start in enumerate(range(0, len(distances), _BLOCK)):
        votes = np.bincount(distances[start : start + _BLOCK])
        votes[0] = 0
        most = np.argsort(-votes, kind="stable")[:_PERIODS_OF_BLOCK]
        for period in most[votes[most] >= _FEWEST_VOTES].tolist():
            blocks.setdefault(period, []).append(block)
    for period, found in blocks.items():
        breaks = [place for place in range(1, len(found)) if found[place] > found[place - 1] + 2]
        for first, stop in pairwise((0, *breaks, len(found))):
            # Copies may begin before the block that contains most of them and end after it.
            yield period, (found[first] - 1) * _BLOCK, min(len(codes), (found[stop - 1] + 2) * _BLOCK)


def _mark_far(looped: NDArray[np.bool_], codes: NDArray[np.int64], kinds: NDArray[np.int8]) -> None:
    """Mark long n-grams that occurred several times before, with any text between."""
    if len(codes) < _FAR_NGRAM * _FAR_COPIES:
        return
    grams = _ngrams(codes, _FAR_NGRAM)
    order = np.argsort(grams, kind="stable")
    ranks = np.arange(len(grams))
    starts = np.concatenate(([True], grams[order[1:]] != grams[order[:-1]]))
    ranks -= np.maximum.accumulate(np.where(starts, ranks, 0))
    words = np.concatenate(([0], np.cumsum(kinds == _WORD)))
    telling = words[_FAR_NGRAM:] - words[:-_FAR_NGRAM] >= _FAR_WORDS
    late = np.zeros(len(grams), dtype=bool)
    late[order] = ranks >= _FAR_COPIES - 1
    begins = np.zeros(len(codes) + 1, dtype=np.int64)
    hits = np.flatnonzero(late & telling)
    np.add.at(begins, hits, 1)
    np.add.at(begins, hits + _FAR_NGRAM, -1)
    looped |= np.cumsum(begins[:-1]) > 0


def _ngrams(codes: NDArray[np.int64], length: int) -> NDArray[np.uint64]:
    """Return a number for each n-gram, equal for equal ones."""
    factors = np.random.default_rng(0).integers(1, 2**63, length, dtype=np.uint64) | np.uint64(1)
    words = (codes.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    words ^= words >> np.uint64(29)
    count = len(codes) - length + 1
    found = np.zeros(count, dtype=np.uint64)
    for place, factor in enumerate(factors.tolist()):
        found += words[place : place + count] * np.uint64(factor)
    return found
