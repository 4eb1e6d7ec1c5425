"""Texts that share runs of words."""

import numpy as np
import pytest

from mergeit_ops.core.text import ngram_index
from mergeit_ops.core.text.ngram_index import NgramIndex, Overlap, comparable_words

LONG = "one two three four five six seven eight"


def index(*texts: str, n: int = 3) -> NgramIndex:
    return NgramIndex([comparable_words(text) for text in texts], range(len(texts)), n)


def overlap(found: NgramIndex, *parts: str) -> Overlap | None:
    (result,) = found.overlaps([[comparable_words(part) for part in parts]])
    return result


def test_the_share_is_that_of_the_distinct_ngrams_of_the_indexed_text():
    found = index(LONG)
    assert overlap(found, LONG) == Overlap(1.0, 0, LONG)
    assert overlap(found, "zero one two three four nine") == Overlap(2 / 6, 0, "one two three four")
    assert overlap(found, "three two one") is None
    # "a a a" is one n-gram, however often it is there.
    assert overlap(index("a a a a b"), "a a a") == Overlap(1 / 2, 0, "a a a")


def test_no_ngram_goes_from_one_part_of_a_text_to_the_next():
    assert overlap(index(LONG), "one two", "three four") is None
    assert overlap(index(LONG), "one two three", "four").share == 1 / 6


def test_a_shorter_text_is_looked_for_as_a_whole_if_it_has_five_words():
    found = index("what is the capital of france", "what is that thing", LONG, n=13)
    assert overlap(found, "Tell me: what is the capital of France?") == Overlap(1.0, 0, "what is the capital of france")
    assert overlap(found, "what is the capital of spain") is None
    assert overlap(found, "what is that thing") is None
    assert found.is_covered.tolist() == [True, False, True]


def test_of_equal_shares_the_first_text_counts():
    assert overlap(index("x y z", "one two three", "one two three"), "one two three").text == 1


def test_ngrams_of_a_template_do_not_count():
    template = [f"please solve this task {number} now" for number in range(11)]
    assert overlap(index(*template), "please solve this") is None
    assert overlap(index(*template[:10]), "please solve this") is not None
    assert overlap(index(*template), "task 7 now").text == 7


def test_case_punctuation_width_and_list_numbers_do_not_count():
    assert comparable_words("1. Don\u2019t  SHOUT \uff21\uff22!\n2) ok") == ["don't", "shout", "ab", "ok"]
    # A script without spaces: each character is a word.
    assert overlap(index("\u4e2d\u56fd\u7684\u9996\u90fd"), "\u3010\u4e2d\u56fd\u7684\u9996\u90fd\u3011").excerpt == (
        "\u4e2d\u56fd\u7684\u9996\u90fd"
    )


@pytest.mark.parametrize("multiplier", [ngram_index._MULTIPLIER, np.uint64(0)], ids=["hashes", "all collide"])
def test_a_collision_of_hashes_changes_nothing(monkeypatch, multiplier):
    """Against n-grams as tuples, on words from a small vocabulary, where many overlap."""
    monkeypatch.setattr(ngram_index, "_MULTIPLIER", multiplier)
    random = np.random.default_rng(0)
    texts = [[str(word) for word in random.integers(0, 6, size)] for size in random.integers(0, 20, 40)]
    known, asked = texts[:20], texts[20:]
    n = 7

    def grams(words: list[str], length: int) -> set[tuple[str, ...]]:
        return {tuple(words[at : at + length]) for at in range(len(words) - length + 1)}

    found = NgramIndex(known, range(20), n).overlaps([[words] for words in asked])
    for words, got in zip(asked, found, strict=True):
        shares = [
            len(grams(words, min(n, len(text))) & grams(text, min(n, len(text)))) / max(1, len(text) - n + 1)
            if len(text) >= ngram_index.SHORTEST
            else 0.0
            for text in known
        ]
        # Few n-grams of seven words repeat inside a text of twenty, so all of a text are distinct.
        assert all(len(grams(text, n)) == max(0, len(text) - n + 1) for text in known)
        best = max(shares)
        assert (got is None) == (best == 0)
        assert got is None or (got.share, got.text) == (pytest.approx(best), shares.index(best))
