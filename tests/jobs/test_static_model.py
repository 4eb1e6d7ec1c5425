"""`embedding_model: static`: fitted to the rows, stored, and found again."""

import numpy as np
import pytest

from mergeit_ops.core.columns import BATCH_META, EMBEDDING
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.dataset.topics import EMBEDDING_MODEL
from mergeit_ops.embedding import load_encoder
from mergeit_ops.embedding.static import files
from mergeit_ops.embedding.static.model import is_fitted
from mergeit_ops.errors import EmbeddingError, RecipeError
from mergeit_ops.jobs.local_rows import LocalRows
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from mergeit_ops.jobs.static_model import with_fitted_model
from mergeit_ops.worker import worker
from tests.recipe_runs import make_dataset

READER = SampleReader("op", resolve_format("alpaca", ["instruction", "output"]), EncoderSettings("static"))


@pytest.fixture(scope="module")
def rows(sample_rows):
    return [{"instruction": row["instruction"], "output": row["output"]} for row in sample_rows[:60]]


def local(rows):
    return LocalRows(make_dataset(rows))


def fitted(rows, reader=READER):
    return with_fitted_model(local(rows), reader).encoder


def embedded(rows, reader=READER):
    found = with_fitted_model(local(rows), reader)
    return found, found.dataset_vectors(local(rows).dataset)[0]


def test_rows_point_where_the_default_model_points(rows, lines):
    reader, vectors = embedded(rows)
    assert is_fitted(reader.encoder.model)
    known = load_encoder().encode([row["instruction"] for row in rows])
    cosines = vectors @ known.T
    assert (cosines.argmax(axis=1) == np.arange(len(rows))).mean() > 0.9
    # One of them comes twice.
    assert any("fitted to 59 rows" in line and reader.encoder.model in line for line in lines)
    assert reader.model_of_vectors(brought=False) == reader.encoder.model


def test_neither_the_order_of_rows_nor_duplicates_change_the_model_and_it_is_fitted_once(rows, lines):
    model = fitted(rows).model
    assert fitted([*rows[::-1], *rows[:7]]).model == model
    assert any("fitted to these rows by an earlier run" in line for line in lines)
    assert len(list(files.folder().iterdir())) == 1
    other = fitted(rows[1:]).model
    assert other != model


def test_a_damaged_file_is_made_again_with_the_same_bits(rows):
    model = fitted(rows).model
    (path,) = files.folder().iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert fitted(rows).model == model
    assert path.read_bytes() == whole


def test_a_folder_that_cannot_be_written_costs_a_warning(rows, lines):
    model = fitted(rows).model
    for path in files.folder().iterdir():
        path.unlink()
    files.folder().rmdir()
    files.folder().touch()
    assert fitted(rows).model == model
    assert any("could not be stored" in line for line in lines)


def test_a_later_operator_finds_the_model_that_has_made_the_vectors(rows):
    reader, vectors = embedded(rows)
    worker.encoders.clear()
    brought = [row | {EMBEDDING: text} for row, text in zip(rows, encode_vectors(vectors), strict=True)]
    # Also of a part of the rows, to which a fit would give another model.
    assert fitted(brought[5:40]).model == reader.encoder.model
    assert fitted([row | {EMBEDDING: text} for row, text in zip(rows, encode_vectors(vectors[::-1]), strict=True)]) == (
        READER.encoder
    )
    topics = [
        {
            "instruction": [row["instruction"] for row in rows],
            "output": [row["output"] for row in rows],
            EMBEDDING: encode_vectors(vectors),
            BATCH_META: {"topic_id": 0, EMBEDDING_MODEL: reader.encoder.model},
        }
    ]
    assert fitted(topics).model == reader.encoder.model


def test_blank_rows_are_left_out_and_no_text_at_all_is_no_reason_to_fit(rows):
    model = fitted(rows).model
    assert fitted([*rows, {"instruction": " ", "output": "x"}]).model == model
    assert fitted([{"instruction": "", "output": "x"}]) == READER.encoder


@pytest.mark.parametrize("count", [1, 3])
def test_few_rows_are_enough(rows, count):
    reader, vectors = embedded(rows[:count])
    assert is_fitted(reader.encoder.model)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)


def test_other_models_are_left_alone(rows):
    reader = SampleReader("op", READER.layout, EncoderSettings("all-MiniLM-L6-v2"))
    assert with_fitted_model(local(rows), reader) is reader


def test_topics_without_vectors_are_refused_with_what_to_do():
    topics = local([{"instruction": ["a", "b"], "output": ["x", "y"]}])
    with pytest.raises(RecipeError, match=r"op: embedding_model is static.*topics without vectors; put sentence_emb"):
        with_fitted_model(topics, READER)


def test_where_no_rows_can_be_fitted_to_the_error_says_what_to_do():
    with pytest.raises(EmbeddingError, match="there are none here; put sentence_embedding_mapper"):
        READER.encoder.embed(["a"])


def test_a_model_that_is_not_there_is_named():
    with pytest.raises(EmbeddingError, match="'static-0123456789abcdef' was fitted to the rows of another run"):
        EncoderSettings("static-0123456789abcdef").embed(["a"])
