"""An exact index of n-grams that finds texts of a fixed set that share runs of words with other texts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.text.words import UNSPACED, exact_words

__all__ = ["MOST_GROUPS", "SHORTEST", "NgramIndex", "Overlap", "comparable_words"]

SHORTEST = 5
"""Fewest words of a text to search for. Shorter texts, such as "What is this?", occur in unrelated texts too."""

MOST_GROUPS = 10
"""An n-gram in more groups of texts than this belongs to their template and does not count."""

_EXCERPT_WORDS = 40
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_NO_WORD = -1
_SPACE_INSIDE = re.compile(rf"(?<=[{UNSPACED}]) (?=[{UNSPACED}])")


def comparable_words(text: str) -> list[str]:
    """Return the words of a text in the form in which they are compared.

    Case, punctuation, white space, the numbers of list items, and the width and form of characters (NFKC) are ignored.
    In scripts without spaces each character is a word.

    :param text: any text.
    """
    return exact_words(unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'"))


@dataclass(frozen=True)
class Overlap:
    """The overlap of a text with a text of the index.

    :param share: share of the indexed text's n-grams that it contains, in (0, 1].
    :param text: number of the indexed text.
    :param excerpt: the longest run of common words.
    """

    share: float
    text: int
    excerpt: str


@dataclass(frozen=True, eq=False)
class _Table:
    """The n-grams of one length.

    :param hashes: (h,) hashes of all n-grams, ascending, each once.
    :param first: (h + 1,) start of the entries of each hash.
    :param places: (e,) position of each entry's n-gram among the words of the index.
    :param grams: (e,) number of the n-gram; equal n-grams have equal numbers.
    :param texts: (e,) text of the entry. A text has one entry for each of its distinct n-grams.
    """

    hashes: NDArray[np.uint64]
    first: NDArray[np.int64]
    places: NDArray[np.int64]
    grams: NDArray[np.int64]
    texts: NDArray[np.int64]


class NgramIndex:
    """The n-grams of some texts.

    Texts with fewer words than `n` are searched as a whole. Words are numbered, and n-grams are found by a hash of 64
    bits. Matches are compared word by word, so two n-grams with one hash are never confused. The index takes about 50
    bytes per word of the texts.

    :param texts: words of each.
    :param groups: group of each text, such as its row. An n-gram in more than `MOST_GROUPS` groups does not count.
    :param n: words of an n-gram, at least 1.
    """

    def __init__(self, texts: Sequence[Sequence[str]], groups: Sequence[int], n: int) -> None:
        self._vocabulary: dict[str, int] = {}
        number = self._vocabulary.setdefault
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        self._words = np.fromiter(
            (number(word, len(self._vocabulary)) for text in texts for word in text), np.int64, int(lengths.sum())
        )
        starts = np.cumsum(lengths) - lengths
        self._sizes = np.zeros(len(texts), dtype=np.int64)
        self._tables: dict[int, _Table] = {}
        longest = int(min(n, lengths.max(initial=0)))
        for length, hashes in _window_hashes(self._words, longest):
            if length == n:
                places, texts_of = _expanded(starts, starts + np.maximum(lengths - n + 1, 0))
            else:
                texts_of = np.flatnonzero(lengths == length) if length >= SHORTEST else np.zeros(0, dtype=np.int64)
                places = starts[texts_of]
            if len(places):
                table = self._table(hashes[places], places, texts_of, np.asarray(groups), length)
                self._tables[length] = table
                self._sizes += np.bincount(table.texts, minlength=len(texts))

    @property
    def is_covered(self) -> NDArray[np.bool_]:
        """Return which texts have an n-gram by which they can be found."""
        covered: NDArray[np.bool_] = self._sizes > 0
        return covered

    def overlaps(self, texts: Sequence[Sequence[Sequence[str]]]) -> list[Overlap | None]:
        """Return the overlap of each text with the indexed text of which it contains the largest share.

        :param texts: n texts, each as parts with words; no n-gram crosses a boundary of parts.
        :return: n overlaps, None if there is none. Among equal shares, the first text of the index counts.
        """
        words: list[str] = []
        rows: list[int] = []
        for row, parts in enumerate(texts):
            for part in parts:
                words.extend(part)
                words.append("")
                rows.extend([row] * (len(part) + 1))
        known = self._vocabulary.get
        ids = np.fromiter((known(word, _NO_WORD) for word in words), np.int64, len(words))
        row_of = np.asarray(rows, dtype=np.int64)
        found = [self._matches(ids, length, hashes) for length, hashes in self._windows(ids)]
        found = [match for match in found if match.shape[1]]
        result: list[Overlap | None] = [None] * len(texts)
        if not found:
            return result
        places, indexed, grams, lengths = np.concatenate(found, axis=1)
        at = row_of[places]
        pairs = np.unique(np.stack([at, indexed, lengths, grams]), axis=1)
        hits, counts = np.unique(pairs[:2], axis=1, return_counts=True)
        shares = counts / self._sizes[hits[1]]
        # Sorted by row, then by falling share, then by text.
        order = np.lexsort((hits[1], -shares, hits[0]))
        _, best = np.unique(hits[0][order], return_index=True)
        for hit in order[best].tolist():
            row, text = hits[:, hit].tolist()
            own = (at == row) & (indexed == text)
            result[row] = Overlap(float(shares[hit]), text, _excerpt(words, places[own], lengths[own]))
        return result

    def _windows(self, ids: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.uint64]]]:
        longest = min(max(self._tables, default=0), len(ids))
        return ((length, hashes) for length, hashes in _window_hashes(ids, longest) if length in self._tables)

    def _matches(self, ids: NDArray[np.int64], length: int, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the matches of the index's n-grams: (4, m) place, text of the index, n-gram, length."""
        table = self._tables[length]
        unknown = np.cumsum(np.concatenate([[0], ids == _NO_WORD]))
        places = np.flatnonzero(unknown[length:] == unknown[:-length])
        at = np.searchsorted(table.hashes, hashes[places])
        at[at == len(table.hashes)] = 0
        there = table.hashes[at] == hashes[places] if len(table.hashes) else np.zeros(len(places), dtype=bool)
        places, at = places[there], at[there]
        entries, owners = _expanded(table.first[at], table.first[at + 1])
        places = places[owners]
        same = np.ones(len(places), dtype=bool)
        for step in range(length):
            same &= ids[places + step] == self._words[table.places[entries] + step]
        places, entries = places[same], entries[same]
        return np.stack([places, table.texts[entries], table.grams[entries], np.full(len(places), length)])

    def _table(
        self,
        hashes: NDArray[np.uint64],
        places: NDArray[np.int64],
        texts: NDArray[np.int64],
        groups: NDArray[np.int64],
        length: int,
    ) -> _Table:
        order = np.argsort(hashes, kind="stable")
        hashes, places, texts = hashes[order], places[order], texts[order]
        begins = np.concatenate([[True], hashes[1:] != hashes[:-1]])
        grams = np.cumsum(begins) - 1
        self._tell_collisions_apart(places, grams, np.flatnonzero(begins), length)
        # One entry per n-gram and text, and none for n-grams of a template.
        keys = np.unique(grams * (texts.max() + 1) + texts, return_index=True)[1]
        by_group = np.unique(grams[keys] * (groups.max() + 1) + groups[texts[keys]]) // (groups.max() + 1)
        numbers, of_gram = np.unique(by_group, return_counts=True)
        keys = np.sort(keys[~np.isin(grams[keys], numbers[of_gram > MOST_GROUPS])])
        kept, first = np.unique(hashes[keys], return_index=True)
        return _Table(kept, np.append(first, len(keys)), places[keys], grams[keys], texts[keys])

    def _tell_collisions_apart(
        self, places: NDArray[np.int64], grams: NDArray[np.int64], begins: NDArray[np.int64], length: int
    ) -> None:
        """Give different n-grams with one hash different numbers; changes `grams`."""
        first = places[begins][grams]
        same = np.ones(len(places), dtype=bool)
        for step in range(length):
            same &= self._words[places + step] == self._words[first + step]
        numbers: dict[tuple[int, ...], int] = {}
        for entry in np.flatnonzero(~same).tolist():
            words = tuple(self._words[places[entry] : places[entry] + length].tolist())
            grams[entry] = numbers.setdefault(words, len(begins) + len(numbers))


def _window_hashes(ids: NDArray[np.int64], longest: int) -> Iterator[tuple[int, NDArray[np.uint64]]]:
    """Yield each length up to the longest, and the hashes of all windows of that length."""
    values = (ids.astype(np.uint64) + np.uint64(2)) * _MULTIPLIER
    values ^= values >> np.uint64(29)
    hashes = values
    for length in range(1, longest + 1):
        if length > 1:
            hashes = hashes[:-1] * _MULTIPLIER + values[length - 1 :]
        yield length, hashes


def _expanded(first: NDArray[np.int64], end: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of all ranges `first` to `end`, one after the other, and the range of each number."""
    sizes = end - first
    owners = np.repeat(np.arange(len(first)), sizes)
    inside = np.arange(len(owners)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return first[owners] + inside, owners


def _excerpt(words: Sequence[str], places: NDArray[np.int64], lengths: NDArray[np.int64]) -> str:
    """Return the longest run of words that n-grams cover; the first one among equals."""
    order = np.lexsort((lengths, places))
    best = run = (0, 0)
    for place, length in zip(places[order].tolist(), lengths[order].tolist(), strict=True):
        run = (run[0], max(run[1], place + length)) if place <= run[1] and run[1] else (place, place + length)
        best = max(best, run, key=lambda part: part[1] - part[0])
    cut = words[best[0] : min(best[1], best[0] + _EXCERPT_WORDS)]
    return _SPACE_INSIDE.sub("", " ".join(cut)) + (" …" if best[1] - best[0] > _EXCERPT_WORDS else "")
