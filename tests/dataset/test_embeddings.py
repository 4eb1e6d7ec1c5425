"""The embedding column: whatever its layout in Arrow, the same vectors."""

import numpy as np
import pyarrow as pa
import pytest

from mergeit_ops.core.vectors import decode_vectors, encode_vectors
from mergeit_ops.dataset.embeddings import column_vectors, vectors_column


def unit_vectors(n: int, width: int) -> np.ndarray:
    vectors = np.random.default_rng(width).normal(size=(n, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("width", [2, 3, 384])
@pytest.mark.parametrize("arrow_type", [pa.string(), pa.large_string(), pa.string_view()])
def test_slices_and_chunks_of_any_text_type_are_read(width, arrow_type):
    vectors = unit_vectors(9, width)
    texts = pa.array(encode_vectors(vectors)).cast(arrow_type)
    column = pa.chunked_array([texts[2:5], texts[5:5], texts[5:8]])
    np.testing.assert_array_equal(column_vectors(column), vectors[2:8])


@pytest.mark.parametrize("width", [2, 3])
def test_a_column_holds_the_texts_of_its_vectors(width):
    vectors = unit_vectors(7, width)
    assert vectors_column(vectors).to_pylist() == encode_vectors(vectors)
    assert column_vectors(vectors_column(vectors[:0])).shape == (0, 0)


@pytest.mark.parametrize("bad", [None, "AAAA", "!" * 16, encode_vectors(unit_vectors(1, 6))[0]])
def test_what_is_wrong_is_said_as_for_single_texts(bad):
    texts = [*encode_vectors(unit_vectors(3, 3)), bad]
    with pytest.raises(ValueError, match="row 8 ") as of_texts:
        decode_vectors(texts, 5)
    for parts in ([texts], [texts[:2], texts[2:]], [texts[:3], texts[3:]]):
        with pytest.raises(ValueError, match="row 8 ") as of_column:
            column_vectors(pa.chunked_array([pa.array(part, pa.string()) for part in parts]), 5)
        assert str(of_column.value) == str(of_texts.value)
