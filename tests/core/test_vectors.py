"""Embeddings as text."""

import base64

import numpy as np
import pytest

from mergeit_ops.core.vectors import decode_joined, decode_vectors, encode_joined, encode_vectors

UNIT = np.array([(1, 0), (0.6, 0.8)], dtype=np.float32)


def test_text_is_base64_of_little_endian_float32():
    assert base64.b64decode(encode_vectors(UNIT)[1]) == np.array([0.6, 0.8], "<f4").tobytes()


def test_decoding_gives_back_the_matrix_bit_for_bit():
    np.testing.assert_array_equal(decode_vectors(encode_vectors(UNIT)), UNIT)


def test_no_rows_are_an_empty_matrix():
    assert decode_vectors([]).shape == (0, 0)


@pytest.mark.parametrize(
    ("second", "complaint"),
    [
        (None, "row 1 has no embedding"),
        ("!!", "not base64"),
        ("AAA=", "not base64"),
        (encode_vectors(np.ones((1, 1), np.float32))[0], "width 1, but the first row has one of width 2"),
        (encode_vectors(np.array([[2, 0]], np.float32))[0], "norm 2.0000"),
        (encode_vectors(np.array([[np.nan, 0]], np.float32))[0], "norm nan"),
    ],
)
def test_unusable_embeddings_are_named(second, complaint):
    with pytest.raises(ValueError, match=complaint):
        decode_vectors([encode_vectors(UNIT)[0], second])


@pytest.mark.parametrize("width", [1, 2, 3, 4, 6, 384])
def test_joined_texts_are_the_single_ones_end_to_end(width):
    vectors = np.random.default_rng(0).normal(size=(5, width)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    joined = encode_joined(vectors)
    if width % 3:
        assert joined is None
    else:
        assert joined.decode() == "".join(encode_vectors(vectors))
        np.testing.assert_array_equal(decode_joined(joined, 5), vectors)


def test_joined_texts_that_are_odd_are_left_to_the_careful_way():
    text = encode_joined(np.eye(3, dtype=np.float32))
    assert decode_joined(text[:-1] + b"!", 3) is None
    assert decode_joined(text[:-1] + b"=", 3) is None
    assert decode_joined(text, 2) is None
    with pytest.raises(ValueError, match="row 12 has an embedding of norm 2"):
        decode_joined(encode_joined(np.diag(np.array([1, 1, 2], np.float32))), 3, first_row=10)
