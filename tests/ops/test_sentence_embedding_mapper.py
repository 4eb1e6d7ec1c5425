"""Embedding as a step of its own."""

import numpy as np
import pytest

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.vectors import decode_vectors
from mergeit_ops.embedding.static.model import is_fitted
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.local_rows import LocalRows
from mergeit_ops.jobs.noted_model import noted_model
from mergeit_ops.ops import SentenceEmbeddingMapper, TopicClusterGrouper
from tests.recipe_runs import make_dataset


def test_the_text_embedded_is_instruction_and_input():
    rows = [
        {"instruction": " Name it. ", "input": "a cat", "output": "x"},
        {"instruction": "Name it. a cat", "input": None, "output": "y"},
        {"instruction": "Name it.", "input": "", "output": "z"},
    ]
    vectors = decode_vectors(SentenceEmbeddingMapper().run(make_dataset(rows))[EMBEDDING])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert vectors[0] @ vectors[2] < 0.95


def test_the_rows_stay_as_they_were(embedded_rows):
    bare = [{name: value for name, value in row.items() if name != EMBEDDING} for row in embedded_rows[:10]]
    embedded = SentenceEmbeddingMapper().run(make_dataset(bare))
    assert [{k: v for k, v in row.items() if k != EMBEDDING} for row in embedded] == bare


def test_batches_in_data_juicers_form_give_the_same_vectors(embedded_rows):
    rows = embedded_rows[:5]
    batch = {name: [row[name] for row in rows] for name in ("instruction", "input", "output")}
    texts = SentenceEmbeddingMapper().process(batch)[EMBEDDING]
    cosines = (decode_vectors(texts) * decode_vectors([row[EMBEDDING] for row in rows])).sum(axis=1)
    assert cosines.min() > 0.9999


def test_embeddings_brought_along_are_not_computed_again(embedded_rows):
    dataset = make_dataset(embedded_rows[:3])
    assert SentenceEmbeddingMapper().run(dataset) is dataset


def test_topics_are_refused(embedded_rows):
    with pytest.raises(DatasetError, match="before the grouper"):
        SentenceEmbeddingMapper().run(TopicClusterGrouper().run(make_dataset(embedded_rows)))


def test_the_grouper_knows_the_static_token_vectors_of_the_mapper(embedded_rows):
    """It makes the same topics of them as of rows that it embeds itself, and notes the same model."""
    bare = [{name: row[name] for name in ("instruction", "output")} for row in embedded_rows[:40]]
    grouper = TopicClusterGrouper(embedding_model="static", num_clusters=3)
    directly = grouper.run(make_dataset(bare))
    embedded = SentenceEmbeddingMapper(embedding_model="static").run(make_dataset(bare))
    behind = grouper.run(embedded)
    assert is_fitted(str(noted_model(LocalRows(behind))))
    assert [dict(sorted(row.items())) for row in behind] == [dict(sorted(row.items())) for row in directly]
