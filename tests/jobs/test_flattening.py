"""Flattening topics into samples that know their topic and id."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest

from mergeit_ops.core.columns import BATCH_META, EMBEDDING, META, ROW_ID
from mergeit_ops.dataset.tables import json_array, python_rows
from mergeit_ops.dataset.topics import Topic, topic_table
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.flattening import FlatteningJob, flatten_topics
from mergeit_ops.jobs.local_rows import LocalRows
from tests.recipe_runs import make_dataset


def topic(number: int, texts: list[str], **columns) -> Topic:
    table = pa.table({"text": texts, EMBEDDING: ["v"] * len(texts), **columns})
    return Topic(number, table, {"topic_id": number})


def flat(*topics: Topic, keep: bool = False):
    return FlatteningJob("op", keep).flatten(topic_table(topics), Counter())


@pytest.mark.parametrize("keep", [False, True])
def test_samples_know_their_topic_and_id(keep):
    table, ids = flat(topic(3, ["a", "b"]), topic(5, ["a"]), keep=keep)
    assert table.column_names == ["text", *([EMBEDDING] if keep else []), META]
    assert table["text"].to_pylist() == ["a", "b", "a"]
    assert [row[META] for row in python_rows(table)] == [
        {"topic_id": number, "row_id": row_id} for number, row_id in zip((3, 3, 5), ids, strict=True)
    ]
    assert len(set(ids)) == 3


def test_metadata_that_samples_bring_stay_and_brought_ids_are_taken():
    own = topic(0, ["a", "b"], **{META: json_array([{"mine": 1}, {}]), ROW_ID: ["x", "y"]})
    table, ids = flat(own)
    assert ids == ["x", "y"]
    assert table.column_names == ["text", META]
    assert [row[META] for row in python_rows(table)] == [
        {"mine": 1, "topic_id": 0, "row_id": "x"},
        {"topic_id": 0, "row_id": "y"},
    ]
    with pytest.raises(DatasetError, match="op: the column"):
        flat(own, own)


def test_a_dataset_of_topics_is_flattened_in_its_order():
    rows = [
        {"text": ["a", "b"], BATCH_META: {"topic_id": 0, "batch_size": 2}},
        {"text": ["c"], BATCH_META: {"topic_id": 7, "batch_size": 1}},
    ]
    found, ids = flatten_topics(LocalRows(make_dataset(rows)), FlatteningJob("op"))
    assert found.dataset["text"] == ["a", "b", "c"]
    assert [meta["topic_id"] for meta in found.dataset[META]] == [0, 0, 7]
    assert [meta["row_id"] for meta in found.dataset[META]] == ids
