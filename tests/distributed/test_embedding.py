"""Embedding the rows of a Ray dataset: the vectors, the order and the counts are those of the default executor."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.dataset.embeddings import column_vectors
from mergeit_ops.distributed import embedding as module
from mergeit_ops.distributed.blocks import Blocks, Resources
from mergeit_ops.distributed.embedding import Embedder, check_embeddings, embedded, readable_only, with_zero_vectors
from mergeit_ops.distributed.environment import DriverEnvironment
from mergeit_ops.errors import DatasetError, EmbeddingError
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from tests.thorough import every
from tests.tiny_models import encoder_folder


@pytest.fixture(scope="module")
def reader():
    settings = EncoderSettings(encoder_folder(), dtype="float32")
    return SampleReader("op", resolve_format("alpaca", ["instruction", "output"]), settings)


def rows(texts, **columns):
    return pa.table({"instruction": texts, "output": ["done"] * len(texts), **columns})


def in_blocks(*tables):
    import ray

    dataset = ray.data.from_arrow(list(tables)).materialize()
    return dataset, Blocks.of(dataset)


def vectors_of(blocks):
    table = pa.concat_tables([part.select([EMBEDDING]) for part in tables_of(blocks)])
    return column_vectors(table.column(EMBEDDING))


def tables_of(blocks):
    import ray

    return ray.get(blocks.refs)


TEXTS = ["a lamp", "", "two lamps", "a river", None, "three rivers " * 600]


@pytest.mark.parametrize("resources", every(2, [Resources(), Resources(actors=(1, 1))]))
def test_each_row_has_the_vector_of_the_default_executor_in_its_place(
    ray_cluster, reader, monkeypatch, lines, resources
):
    monkeypatch.setattr(module, "_LEAST_ROWS", 2)  # more tasks than blocks
    dataset, blocks = in_blocks(rows(TEXTS))
    made, found = embedded(dataset, blocks, reader, resources)
    expected, longer = reader.new_vectors(rows(TEXTS))
    np.testing.assert_array_equal(vectors_of(made), expected)
    assert [text for table in tables_of(made) for text in table["instruction"].to_pylist()] == TEXTS
    assert all(table.column_names == ["instruction", "output", EMBEDDING] for table in tables_of(made))
    assert (found.rows, found.unreadable) == (6, 2)
    assert longer == 1
    assert any("1 of 6 rows is longer than the window" in line for line in lines)


@pytest.mark.parametrize(
    ("rows", "blocks", "processors", "tasks"),
    [(489, 1, 2, 1), (489, 3, 2, 3), (1_000, 1, 2, 2), (9_229, 1, 2, 4), (9_229, 1, 64, 19), (100_000, 1, 2, 25)],
)
def test_few_rows_are_one_task_and_many_are_as_many_as_the_processors_work_on(rows, blocks, processors, tasks):
    assert module._tasks(rows, blocks, processors) == tasks


def test_vectors_that_rows_bring_are_kept_and_counted_by_their_texts(ray_cluster, reader):
    brought = encode_vectors(np.eye(3, dtype=np.float32))
    dataset, blocks = in_blocks(rows(["a", "b"], **{EMBEDDING: brought[:2]}), rows([""], **{EMBEDDING: brought[2:]}))
    made, found = embedded(dataset, blocks, reader, Resources())
    assert vectors_of(made).tolist() == np.eye(3).tolist()
    assert found.unreadable == 1
    marked = with_zero_vectors(made, reader, found)
    assert vectors_of(marked).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert sum(readable_only(marked).rows) == 2


def test_rows_of_which_most_cannot_be_read_are_refused_before_any_is_embedded(ray_cluster):
    unread = SampleReader("op", resolve_format("alpaca", ["instruction", "output"]), EncoderSettings("no such model"))
    dataset, blocks = in_blocks(rows(["", None, "a"]))
    with pytest.raises(DatasetError, match=r"^op: 2 of 3 rows"):
        embedded(dataset, blocks, unread, Resources())


def test_vectors_of_two_widths_are_refused_although_each_block_has_one(ray_cluster, reader):
    narrow, wide = (encode_vectors(np.eye(width, dtype=np.float32)[:1]) for width in (2, 3))
    _, blocks = in_blocks(rows(["a"], **{EMBEDDING: narrow}), rows(["b"], **{EMBEDDING: wide}))
    with pytest.raises(EmbeddingError, match=r"^op: .*2.*3"):
        check_embeddings(blocks, reader)


def test_an_actor_tells_how_many_rows_of_a_batch_were_too_long(reader):
    found = Embedder(reader, DriverEnvironment())(rows(TEXTS[2:]))
    counts = found.column(module._LONGER).to_pylist()
    assert counts == [1, 0, 0, 0]
    np.testing.assert_array_equal(column_vectors(found.column(EMBEDDING)), reader.new_vectors(rows(TEXTS[2:]))[0])
