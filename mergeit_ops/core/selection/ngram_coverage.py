"""Good rows that cover the n-grams of all rows (GraphFilter, https://arxiv.org/abs/2410.12458).

Each choice has the highest priority

    quality(u) * sum over the n-grams v of u that no choice has yet: tf(v, u) * ln(N / d_v),

where tf(v, u) is the count of v in u, and d_v of the N rows contain v. A priority only falls as choices cover n-grams,
so few priorities have to be computed again.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.selection.method import Need, Pool, Selection, SelectionMethod
from mergeit_ops.core.text.words import exact_words


@dataclass(frozen=True)
class NgramCoverage(SelectionMethod):
    """Rows of high quality with n-grams that no other choice has.

    :param max_ngram: longest n-gram, in words; the paper uses 1, 2 and 3.
    """

    max_ngram: int = 3

    selected: ClassVar[str] = "the best that cover the n-grams"

    @property
    def needs(self) -> frozenset[Need]:
        """See `SelectionMethod`."""
        return frozenset({"scores", "texts"})

    def select(self, pool: Pool, budget: int) -> Selection:
        """Choose rows; their gains are their priorities. If all scores are the same, they count as 1."""
        scores = pool.scores
        same = len(scores) and scores.max() == scores.min()
        return ngram_coverage(pool.texts, np.ones(len(scores)) if same else scores, budget, self.max_ngram)


@dataclass(frozen=True)
class Ngrams:
    """The n-grams of texts, each n-gram a number.

    :param starts: (n + 1,) start of the n-grams of each text.
    :param ids: (e,) different n-grams of each text, ascending.
    :param counts: (e,) how often each occurs in its text.
    :param texts_with: number of texts that contain each n-gram.
    """

    starts: NDArray[np.int64]
    ids: NDArray[np.int64]
    counts: NDArray[np.int64]
    texts_with: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[str], longest: int) -> Ngrams:
        """Find the n-grams of texts.

        :param texts: n texts.
        :param longest: words of the longest n-gram, >= 1.
        """
        numbers: dict[str, int] = {}
        words: list[NDArray[np.int64]] = []
        for text in texts:
            found = [numbers.setdefault(word, len(numbers)) for word in exact_words(text)]
            words.append(np.asarray(found, dtype=np.int64))
        owners = np.repeat(np.arange(len(texts)), [len(found) for found in words])
        single = np.concatenate([np.zeros(0, np.int64), *words])
        del words
        grams, gram_owners, known = [single], [owners], len(numbers)
        ids = single
        for length in range(2, longest + 1):
            # An n-gram is the n-gram that is one word shorter, plus the next word.
            last = single[length - 1 :]
            inside = owners[: len(last)] == owners[length - 1 :]
            pairs = ids[: len(last)] * len(numbers) + last
            pairs[~inside] = -1
            distinct, ids = np.unique(pairs, return_inverse=True)
            grams.append(ids[inside] + known)
            gram_owners.append(owners[: len(last)][inside])
            known += len(distinct)
        return cls._of_pairs(np.concatenate(gram_owners), np.concatenate(grams), len(texts), known)

    @classmethod
    def _of_pairs(cls, owners: NDArray[np.int64], grams: NDArray[np.int64], texts: int, known: int) -> Ngrams:
        distinct, counts = np.unique(owners * known + grams, return_counts=True)
        owners, ids = np.divmod(distinct, max(known, 1))
        starts = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=texts))])
        return cls(starts, ids, counts, np.bincount(ids, minlength=known))


def ngram_coverage(texts: Sequence[str], quality: NDArray[np.float64], budget: int, longest: int = 3) -> Selection:
    """Choose rows greedily by quality and the n-grams that they add.

    :param texts: n texts.
    :param quality: (n,) quality of each row, at least 0.
    :param budget: rows to choose, <= n.
    :param longest: words of the longest n-gram, >= 1.
    :return: the rows, the best first, with their priorities. Ties go to the first row. When no row adds an n-gram any
        more, the rest are ordered by quality.
    """
    ngrams = Ngrams.of(texts, longest)
    rarity = np.log(len(texts) / np.maximum(ngrams.texts_with, 1))
    weights = ngrams.counts * rarity[ngrams.ids]
    edges = ngrams.starts.tolist()
    open_ = np.ones(len(rarity))

    def priority(row: int) -> float:
        part = slice(edges[row], edges[row + 1])
        # Zeros instead of fewer numbers, because a sum of the same length cannot rise by rounding.
        return float((weights[part] * open_[ngrams.ids[part]]).sum()) * float(quality[row])

    heap = [(-priority(row), row) for row in range(len(texts))]
    heapq.heapify(heap)
    fresh_at = [0] * len(texts)
    chosen: list[int] = []
    gains: list[float] = []
    while len(chosen) < budget and heap[0][0] < 0:
        bound, row = heap[0]
        if fresh_at[row] == len(chosen):
            heapq.heappop(heap)
            chosen.append(row)
            gains.append(-bound)
            open_[ngrams.ids[edges[row] : edges[row + 1]]] = 0
        else:
            fresh_at[row] = len(chosen)
            heapq.heapreplace(heap, (-priority(row), row))
    left = np.ones(len(texts), dtype=bool)
    left[chosen] = False
    rest = np.flatnonzero(left)
    rest = rest[np.argsort(-quality[rest], kind="stable")][: budget - len(chosen)]
    return Selection(np.asarray([*chosen, *rest.tolist()], dtype=np.int64), np.asarray([*gains, *([0.0] * len(rest))]))
