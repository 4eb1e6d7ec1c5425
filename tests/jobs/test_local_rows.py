"""Rows of Data-Juicer's default executor, worked on in this process."""

import numpy as np
import pytest

from mergeit_ops.core.columns import BATCH_META, EMBEDDING
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.dataset.tables import READ_ROWS, python_rows
from mergeit_ops.jobs.local_rows import LocalRows
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from tests.recipe_runs import make_dataset

READER = SampleReader("op", resolve_format("alpaca", ["instruction", "output"]), EncoderSettings("none"))


def flat(count=3):
    return LocalRows(make_dataset([{"n": number, "text": f"t{number}"} for number in range(count)]))


def test_a_function_sees_each_row_once_table_by_table():
    rows = flat(READ_ROWS + 5)
    assert list(rows.tell(lambda table: (None, table.num_rows))) == [READ_ROWS, 5]
    assert list(rows.tell(lambda table: (None, table.column_names), columns=["n"])) == [["n"]] * 2
    assert list(flat(0).tell(lambda table: (None, 1))) == []


def test_tables_that_a_function_gives_are_the_rows_and_none_is_left_out():
    found, told = flat().map(lambda table, add: (table.filter([True, False, True]), add), "shared")
    assert found.dataset["n"] == [0, 2]
    assert told == ["shared"]
    nothing, told = flat().map(lambda table: (None, "told"))
    assert (len(nothing), told) == (0, ["told"])


def test_each_table_gets_its_own_argument():
    rows = flat(READ_ROWS + 5)
    _, told = rows.map(lambda table, own: (table, (own, table.num_rows)), each=["a", "b"])
    assert told == [("a", READ_ROWS), ("b", 5)]


def test_topics_without_a_number_get_one():
    topics = LocalRows(make_dataset([{"text": ["a", "b"]}, {"text": ["c"]}]))
    assert topics.grouped

    def number(table):
        return None, python_rows(table)[0][BATCH_META]["topic_id"]

    assert list(topics.tell(number)) == [0, 1]
    numbered = make_dataset([{"text": ["a"], BATCH_META: {"topic_id": 7, "batch_size": 1}}])
    assert list(LocalRows(numbered).tell(number)) == [7]


def test_rows_are_picked_out_in_the_order_that_is_asked_for():
    taken = flat(5).take(np.array([3, 0]), dropped=["text"])
    assert taken.dataset[:] == {"n": [3, 0]}
    assert not flat().grouped
    assert set(flat().types) == set(flat().columns) == {"n", "text"}


def test_embeddings_that_rows_bring_are_not_made_again():
    vectors = np.eye(2, dtype=np.float32)
    rows = [{"instruction": "a", "output": "x", EMBEDDING: text} for text in encode_vectors(vectors)]
    brought = LocalRows(make_dataset(rows))
    same, found = brought.embedded(READER)
    assert same is brought
    assert found.unreadable == 0
    with_vectors, _ = brought.with_vectors(READER, drops_unreadable=False)
    np.testing.assert_array_equal(with_vectors.choose(lambda read: read, READER), vectors)
    with pytest.raises(AssertionError):
        brought.choose(lambda read: read, READER)
