"""Texts that are longer than a model's window: which windows, and their mean."""

import numpy as np
import pytest

from mergeit_ops.embedding import windows as module
from mergeit_ops.embedding.defaults import MOST_WINDOWS
from mergeit_ops.embedding.encoder import Window
from mergeit_ops.embedding.windows import cut_by_count, embed_texts, longest_part, spread


class LetterEncoder:
    """A window of three letters; a vector for each of `a`, `b` and `-`: (1, 0), (0, 1) and (-1, 0), their mean."""

    model = "letters"
    width = 2
    vectors = {"a": (1, 0), "b": (0, 1), "-": (-1, 0)}

    def encode(self, texts, batch_size=None):
        found = np.array([np.mean([self.vectors[letter] for letter in text[:3]], axis=0) for text in texts])
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)

    def windows(self, texts):
        return {row: cut_by_count(text, 3, len) for row, text in enumerate(texts) if len(text) > 3}


def test_the_mean_of_windows_is_weighted_by_their_tokens():
    found = embed_texts(LetterEncoder(), ["a", "aaab", "b", "aaabbb"], None, "mean")
    expected = [(1, 0), (3 / 10**0.5, 1 / 10**0.5), (0, 1), (0.5**0.5, 0.5**0.5)]
    np.testing.assert_allclose(found.vectors, expected, atol=1e-6)
    assert found.vectors.dtype == np.float32
    assert found.longer == 2


def test_texts_of_many_parts_have_the_vectors_that_they_have_alone(monkeypatch):
    texts = ["a", "aaab", "b", "bbba", "aaabbb"] * 3
    expected = [embed_texts(LetterEncoder(), [text], None, "mean").vectors[0] for text in texts]
    monkeypatch.setattr(module, "_TEXTS_AT_ONCE", 4)
    found = embed_texts(LetterEncoder(), texts, None, "mean")
    np.testing.assert_array_equal(found.vectors, expected)
    assert found.longer == 9


def test_the_first_window_is_what_the_encoder_sees():
    found = embed_texts(LetterEncoder(), ["a", "aaab", "bbba"], None, "first")
    np.testing.assert_array_equal(found.vectors, [(1, 0), (1, 0), (0, 1)])
    assert found.longer == 2


def test_windows_that_cancel_out_leave_the_first():
    found = embed_texts(LetterEncoder(), ["aaa---"], None, "mean")
    np.testing.assert_array_equal(found.vectors, [(1, 0)])


def test_windows_of_a_huge_text_are_spread_over_it():
    windows = [Window(str(number), 1) for number in range(1_000)]
    chosen = [int(window.text) for window in spread(windows)]
    assert len(chosen) == MOST_WINDOWS
    assert (chosen[0], chosen[-1]) == (0, 999)
    assert max(np.diff(chosen)) - min(np.diff(chosen)) <= 1
    assert spread(windows[:MOST_WINDOWS]) == windows[:MOST_WINDOWS]


def test_of_a_huge_text_a_bounded_part_is_looked_at_up_to_its_end():
    seen = []

    class Counting(LetterEncoder):
        def windows(self, texts):
            seen.extend(texts)
            return super().windows(texts)

        def encode(self, texts, batch_size=None):
            seen.append(len(texts))
            return super().encode(texts, batch_size)

    embed_texts(Counting(), ["a" * 5_000_000 + "b"], None, "mean")
    first, looked_at, behind = seen
    assert len(looked_at) == 100_000
    assert looked_at.endswith("ab")
    assert first + behind == MOST_WINDOWS


def test_a_text_is_cut_where_a_window_is_full():
    # Words count, blanks do not.
    windows = cut_by_count("aa bb cc dd ee", 2, lambda text: len(text.split()))
    assert "".join(window.text for window in windows) == "aa bb cc dd ee"
    assert [window.tokens for window in windows] == [2, 2, 1]
    assert cut_by_count("", 2, len) == [Window("", 1)]
    assert cut_by_count("abc", 3, len) == [Window("abc", 3)]


@pytest.mark.parametrize("most", [1, 2, 3, 7, 100])
def test_the_longest_part_has_no_more_tokens_than_it_may(most):
    text = "abcdefghijklmnopqrst" * 3
    # A character that counts more than may be is taken all the same, so that every text comes to an end.
    count = lambda part: 2 * len(part)  # noqa: E731
    assert longest_part(text, 5, most, count) == min(len(text), 5 + max(1, most // 2))
