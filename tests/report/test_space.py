"""Vectors that rows bring are used where they are those of one model."""

import numpy as np
import pytest

from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.jobs.sample_reader import EncoderSettings
from mergeit_ops.report.space import embed, encoder
from mergeit_ops.report.survey import Point
from tests.tiny_models import encoder_folder

X = np.eye(4, dtype=np.float32)


def encode(texts):
    return np.array([X[int(text)] for text in texts])


def brought(rows):
    return [Point(str(row), text) for row, text in zip(rows, encode_vectors(X[rows]), strict=True)]


def test_vectors_that_all_rows_bring_are_used():
    sets = [brought([0, 2]), brought([1]), [], brought([2, 3]), brought([1, 3])]
    found, embedded = embed(sets, lambda texts: pytest.fail("embedded again"))
    for vectors, rows in zip(found, ([0, 2], [1], [], [2, 3], [1, 3]), strict=True):
        np.testing.assert_array_equal(vectors, X[rows])
    assert embedded == 0
    (alone,), embedded = embed([brought([0, 2])], lambda texts: pytest.fail("embedded again"))
    np.testing.assert_array_equal(alone, X[[0, 2]])


def test_where_sets_share_no_text_the_model_is_asked():
    asked = []
    (first, second), embedded = embed(
        [brought([0, 2]), brought([1])], lambda texts: asked.extend(texts) or encode(texts)
    )
    np.testing.assert_array_equal(first, X[[0, 2]])
    np.testing.assert_array_equal(second, X[[1]])
    assert (embedded, asked) == (0, ["0", "2", "1"])


@pytest.mark.parametrize("shared", [[], [0]])
def test_of_two_sets_the_one_of_another_model_is_embedded_again(shared):
    others = [1, *shared]
    other_model = [Point(str(row), text) for row, text in zip(others, encode_vectors(X[::-1][others]), strict=True)]
    (first, second), embedded = embed([brought([0, 2]), other_model], encode)
    np.testing.assert_array_equal(first, X[[0, 2]])
    np.testing.assert_array_equal(second, X[others])
    assert embedded == len(others)


def test_each_set_is_probed_whatever_their_sizes():
    many = [Point(str(number % 4), text) for number, text in enumerate(encode_vectors(X[[0, 1, 2, 3] * 50]))]
    (text,) = encode_vectors(X[[2]])
    found, embedded = embed([many, [Point("3", text)], [Point("1")]], encode)
    np.testing.assert_array_equal(found[1], X[[3]])
    assert embedded == 2


def test_vectors_that_some_rows_bring_are_used_where_the_model_gives_the_same():
    asked = []

    def listening(texts):
        asked.append(list(texts))
        return encode(texts)

    (found,), embedded = embed([[*brought([0, 2]), Point("3")]], listening)
    np.testing.assert_array_equal(found, X[[0, 2, 3]])
    assert embedded == 1
    assert asked[-1] == ["3"]


@pytest.mark.parametrize("vectors", [np.roll(X, 1, axis=0)[:2], np.eye(2, dtype=np.float32)])
def test_vectors_of_another_model_are_not_mixed_with_its_own(vectors):
    others = [Point(str(row), text) for row, text in enumerate(encode_vectors(vectors))]
    (first, second), embedded = embed([others, [Point("3")]], encode)
    np.testing.assert_array_equal(first, X[:2])
    np.testing.assert_array_equal(second, X[[3]])
    assert embedded == 3


def test_vectors_that_cannot_be_read_are_made_again():
    (found,), embedded = embed([[*brought([0]), Point("3", "?")]], encode)
    np.testing.assert_array_equal(found, X[[0, 3]])
    assert embedded == 2


def test_a_long_text_is_embedded_as_operators_embed_it():
    texts = ["a fruit", "a fruit " * 500]
    found = encoder(encoder_folder(), lambda text: None)(texts)
    np.testing.assert_array_equal(found, EncoderSettings(encoder_folder()).embed(texts))
