"""GraphFilter: golden values of the sheet, the plain greedy, and its edges."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mergeit_ops.core.selection.method import Pool
from mergeit_ops.core.selection.ngram_coverage import NgramCoverage, Ngrams, ngram_coverage

TEXTS = ["sort a list", "sort a dict", "write a poem", "write a poem"]
QUALITY = np.array([0.9, 0.8, 0.7, 0.7])


def grams(text, longest) -> list[tuple[str, ...]]:
    words = text.split()
    return [tuple(words[i : i + n]) for n in range(1, longest + 1) for i in range(len(words) - n + 1)]


def plain(texts, quality, budget, longest):
    texts_with: dict = {}
    for text in texts:
        for gram in set(grams(text, longest)):
            texts_with[gram] = texts_with.get(gram, 0) + 1
    covered: set = set()
    chosen, gains = [], []
    while len(chosen) < budget:
        priorities = [
            -1.0
            if row in chosen
            else quality[row]
            * sum(math.log(len(texts) / texts_with[g]) for g in grams(text, longest) if g not in covered)
            for row, text in enumerate(texts)
        ]
        best = max(range(len(texts)), key=lambda row: (round(priorities[row], 9), -row))
        if priorities[best] < 1e-12:
            break
        chosen.append(best)
        gains.append(priorities[best])
        covered |= set(grams(texts[best], longest))
    rest = sorted(set(range(len(texts))) - set(chosen), key=lambda row: (-quality[row], row))
    return [*chosen, *rest][:budget], [*gains, *[0.0] * len(texts)][:budget]


def test_golden_of_the_sheet():
    found = NgramCoverage(1).select(Pool(texts=TEXTS, scores=QUALITY), 4)
    assert found.indices.tolist() == [0, 1, 2, 3]
    assert found.gains == pytest.approx([1.871497, 1.109035, 0.970406, 0], abs=1e-6)


def test_not_the_priorities_before_anything_is_covered():
    assert ngram_coverage(TEXTS, QUALITY, 2, 1).gains[1] != pytest.approx(1.663553, abs=1e-3)


WORDS = st.lists(st.sampled_from(["red", "blue", "big", "small"]), max_size=7).map(" ".join)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(WORDS, st.integers(0, 4)), min_size=1, max_size=10), st.integers(1, 4), st.data())
def test_it_is_the_plain_greedy_and_its_gains_never_rise(rows, longest, data):
    texts, quality = [text for text, _ in rows], np.array([score for _, score in rows], dtype=float)
    budget = data.draw(st.integers(1, len(rows)))
    found = ngram_coverage(texts, quality, budget, longest)
    indices, gains = plain(texts, quality, budget, longest)
    assert found.gains == pytest.approx(gains, abs=1e-9)
    assert (np.diff(found.gains) <= 1e-12).all()
    assert len(set(found.indices.tolist())) == budget
    # Sums in another order may break a tie another way.
    if len(set(np.round(gains, 9))) == len(gains):
        assert found.indices.tolist() == indices


def test_n_grams_are_counted_in_each_text_and_do_not_cross_texts():
    ngrams = Ngrams.of(["a b a b", "b", ""], 3)
    # a, b, ab, ba, aba, bab; the word b is in two texts.
    assert (np.diff(ngrams.starts).tolist(), ngrams.counts.tolist()) == ([6, 1, 0], [2, 2, 2, 1, 1, 1, 1])
    assert sorted(ngrams.texts_with[ngrams.texts_with > 0].tolist()) == [1, 1, 1, 1, 1, 2]


def test_where_nothing_is_left_to_cover_quality_decides():
    assert ngram_coverage(["same"] * 4, np.array([1.0, 3, 2, 3]), 4).indices.tolist() == [1, 3, 2, 0]


def test_scores_that_are_all_the_same_leave_the_choice_to_the_n_grams():
    found = NgramCoverage(1).select(Pool(texts=["sort a list", *TEXTS], scores=np.zeros(5)), 2)
    assert found.indices.tolist() == [2, 3]


def test_copies_come_last_as_long_as_others_add_n_grams():
    texts = ["sort lists", "sort lists", "write poems", "cook rice"]
    assert set(ngram_coverage(texts, np.array([4.0, 4, 1, 1]), 3).indices.tolist()) == {0, 2, 3}


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows):
    assert ngram_coverage(TEXTS[:rows], QUALITY[:rows], rows).indices.tolist() == list(range(rows))
