"""Texts as counts of tokens and of pairs of them."""

import numpy as np
import pytest

from mergeit_ops.embedding.static.token_counts import TokenCounts
from tests.embedding.static.toy import WORDS, tokenizer

A, B, C = 1, 2, 3
PAIRS = np.array([A * len(WORDS) + B, B * len(WORDS) + A])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", {A: 1}),
        ("a b", {A: 1, B: 1, 5: 1}),
        ("a b a b", {A: 2**0.5, B: 2**0.5, 5: 2**0.5, 6: 1}),
        ("c c c c", {C: 2}),
        ("", {}),
        ("z", {0: 1}),
    ],
)
def test_counts_are_square_roots_and_only_known_pairs_count(text, expected):
    counts = TokenCounts(tokenizer(), PAIRS)
    (row,) = counts.of([text]).toarray()
    assert {number: pytest.approx(value) for number, value in enumerate(row) if value} == expected


def test_no_pair_reaches_over_the_end_of_a_text():
    counts = TokenCounts(tokenizer(), PAIRS)
    assert counts.of(["a", "", "b a"]).toarray()[:, 5:].tolist() == [[0, 0], [0, 0], [0, 1]]


def test_text_that_utf8_does_not_know_is_counted():
    assert TokenCounts(tokenizer(), PAIRS[:0]).tokens(["\ud800 a"]) == [[0, A]]


def test_a_model_may_count_no_pairs():
    assert TokenCounts(tokenizer(), PAIRS[:0]).of(["a b"]).toarray().tolist() == [[0, 1, 1, 0, 0]]


def test_the_ends_of_a_text_are_tokens_of_pairs():
    counts = TokenCounts(tokenizer(ends=True), np.array([A]))
    assert counts.of(["a b", "b a"]).toarray().tolist() == [[1, 1, 1, 0, 0, 1], [1, 1, 1, 0, 0, 0]]
