"""The embedding column: whatever its layout in Arrow, the same vectors."""

import numpy as np
import pyarrow as pa
import pytest

from mergeit_ops.core.vectors import decode_vectors, encode_vectors
from mergeit_ops.dataset.embeddings import column_vectors, embeddings_as_text, rows_with_text, vectors_column


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


LIST_TYPES = (
    pa.list_(pa.float32()),
    pa.list_(pa.float64()),
    pa.large_list(pa.float32()),
    pa.list_(pa.float32(), 3),
    pa.list_(pa.float16()),
)


@pytest.mark.parametrize("kind", LIST_TYPES, ids=str)
def test_lists_of_floats_are_read_as_their_vectors(kind):
    vectors = unit_vectors(9, 3)
    values = vectors.astype(np.float16) if pa.types.is_float16(kind.value_type) else vectors
    lists = pa.array(list(values), kind)
    column = pa.chunked_array([lists[2:5], lists[5:5], lists[5:8]])
    np.testing.assert_array_equal(column_vectors(column), values[2:8].astype(np.float32))
    table = embeddings_as_text(pa.table({"mergeit_embedding": column, "x": list(range(6))}))
    assert table.column("mergeit_embedding").type == pa.string()
    np.testing.assert_array_equal(column_vectors(table.column("mergeit_embedding")), values[2:8].astype(np.float32))


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (None, "row 8 has no embedding"),
        ([], "row 8 has no embedding"),
        ([1.0, 0.0], "row 8 has an embedding of width 2, but the first row has one of width 3"),
        ([1.0, None, 0.0], "row 8 has an embedding with a null in it"),
        ([1.0, 1.0, 0.0], "row 8 has an embedding of norm 1.4142, expected 1"),
        ([float("nan"), 0.0, 0.0], "row 8 has an embedding of norm nan, expected 1"),
    ],
)
def test_what_is_wrong_with_a_list_is_said(bad, complaint):
    lists = [*unit_vectors(3, 3).tolist(), bad]
    with pytest.raises(ValueError, match=complaint):
        column_vectors(pa.chunked_array([pa.array(lists, pa.list_(pa.float32()))]), 5)


def test_lists_of_something_else_are_refused():
    with pytest.raises(ValueError, match="it holds lists of string, but they must be lists of floats"):
        column_vectors(pa.chunked_array([pa.array([["a"]])]))


@pytest.mark.parametrize("width", [2, 3, 4])
@pytest.mark.parametrize("as_list", [False, True])
def test_rows_without_a_text_are_found_by_their_zero_vector(width, as_list):
    vectors = unit_vectors(5, width)
    vectors[[1, 4]] = 0
    column = (
        pa.chunked_array([pa.array(vectors.tolist(), pa.list_(pa.float32()))]) if as_list else vectors_column(vectors)
    )
    assert rows_with_text(column).tolist() == [True, False, True, True, False]
    np.testing.assert_array_equal(column_vectors(column), vectors)
    assert rows_with_text(column.slice(0, 0)).tolist() == []
