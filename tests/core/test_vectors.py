"""Embeddings as text."""

import base64

import numpy as np
import pytest

from mergeit_ops.core.vectors import decode_vectors, encode_vectors

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
        (encode_vectors(np.ones((1, 1), np.float32))[0], "width 1, the first row one of 2"),
        (encode_vectors(np.array([[2, 0]], np.float32))[0], "norm 2.0000"),
        (encode_vectors(np.array([[np.nan, 0]], np.float32))[0], "norm nan"),
    ],
)
def test_unusable_embeddings_are_named(second, complaint):
    with pytest.raises(ValueError, match=complaint):
        decode_vectors([encode_vectors(UNIT)[0], second])
