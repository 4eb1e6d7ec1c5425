"""Topics as rows: the same ones in whatever blocks they are written."""

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset, Features, Json, List, Value

from mergeit_ops.core.columns import BATCH_META
from mergeit_ops.dataset import topics
from mergeit_ops.dataset.topics import Topic, group_rows, is_grouped, iter_topics, table_topics, topic_table
from mergeit_ops.errors import DatasetError


@pytest.mark.parametrize(("rows", "size"), [(1, 2**28), (7, 2**28), (1_000, 1), (1_000, 2**28)])
def test_blocks_hold_whole_topics_and_all_rows(rows, size, monkeypatch):
    monkeypatch.setattr(topics, "_BLOCK_ROWS", rows)
    monkeypatch.setattr(topics, "_BLOCK_BYTES", size)
    labels = np.random.default_rng(0).integers(0, 9, 100)
    labels[labels == 4] = 5
    samples = Dataset.from_dict({"n": list(range(100)), "text": [f"row {i}" for i in range(100)]})
    doubled = {"double": lambda positions: pa.array(2 * positions)}
    rows_of_topics = [row for table in group_rows(samples, doubled, labels) for row in table.to_pylist()]
    assert len(rows_of_topics) == 8
    assert [row["n"] for row in rows_of_topics] == [np.flatnonzero(labels == k).tolist() for k in np.unique(labels)]
    for row in rows_of_topics:
        assert row["double"] == [2 * n for n in row["n"]]
        assert row["text"] == [f"row {n}" for n in row["n"]]


@pytest.mark.slow
def test_a_topic_beyond_what_a_row_can_hold_is_refused_with_what_to_do():
    half = pa.array(["x" * 2**30])
    table = pa.table({"text": pa.chunked_array([half, half, half])})
    with pytest.raises(DatasetError, match=r"topic of 3 samples takes 3.0 GiB in the column 'text'.*num_clusters"):
        topic_table([Topic(0, table, {})])


TEXT = Value("string")
TURN = {"role": TEXT, "content": TEXT}


@pytest.mark.parametrize(
    "features",
    [
        {"messages": List(TURN)},
        {"messages": List(Json())},
        {"conversations": List({"from": TEXT, "value": TEXT})},
        {"messages": List(TEXT)},
        {"prompt": List(TURN), "completion": List(TURN)},
        {"prompt": List(Json()), "completion": List(Json())},
        {"chosen": List(TURN), "rejected": List(TURN)},
        {"instruction": TEXT, "output": TEXT},
        {"tags": List(TEXT), "output": TEXT},
        {},
    ],
)
def test_flat_rows_are_not_taken_for_topics(features):
    assert not is_grouped(Features(features))


@pytest.mark.parametrize(
    "features",
    [
        {"messages": List(List(TURN))},
        {"prompt": List(List(TURN)), "completion": List(List(TURN))},
        {"instruction": List(TEXT), "output": List(TEXT)},
        {"instruction": List(TEXT), "meta": List({"source": TEXT})},
        {"instruction": TEXT, BATCH_META: Json()},
    ],
)
def test_topics_are_told_by_their_batch_metadata_or_by_rows_of_nothing_but_lists(features):
    assert is_grouped(Features(features))


def in_chunks(sizes: list[int], table: pa.Table) -> pa.Table:
    starts = np.cumsum([0, *sizes])
    parts = [table.slice(int(start), size) for start, size in zip(starts[:-1], sizes, strict=True)]
    # A column as it lies in a file of several batches.
    return pa.concat_tables([pa.table({name: part.column(name) for name in part.column_names}) for part in parts])


@pytest.mark.parametrize("kind", [pa.list_, pa.large_list])
@pytest.mark.parametrize("sizes", [[6], [1] * 6, [2, 0, 3, 1]])
@pytest.mark.parametrize(("first", "length"), [(0, 6), (2, 3), (5, 1), (3, 0)])
def test_topics_of_a_table_are_its_rows_wherever_it_was_cut(kind, sizes, first, length):
    values = [["a", "b"], [], ["c"], None, ["d", None], ["e"]]
    numbers = [[1, 2], [], [3], [], [4, 5], [6]]
    lists = {"text": pa.array(values, kind(pa.string())), "n": pa.array(numbers, pa.list_(pa.int64()))}
    table = in_chunks(sizes, pa.table(lists)).slice(first, length)
    rows = range(first, first + length)
    for name, expected in (("text", values), ("n", numbers)):
        found = [topic.table.column(name).to_pylist() for topic in table_topics(table.select([name]))]
        assert found == [expected[row] or [] for row in rows]
    assert [topic.topic_id for topic in table_topics(table, 10)] == list(range(10, 10 + length))


@pytest.mark.parametrize("at_once", [1, 40, 2**22])
def test_topics_of_a_dataset_are_numbered_through_whatever_is_read_at_once(at_once, monkeypatch):
    monkeypatch.setattr(topics, "_READ_BYTES", at_once)
    numbers = [list(range(row)) for row in range(1, 9)]
    dataset = Dataset.from_dict({"n": numbers}).select([3, 1, 2, 7, 0])
    found = [(topic.topic_id, topic.table.column("n").to_pylist()) for topic in iter_topics(dataset)]
    assert found == list(enumerate(numbers[row] for row in (3, 1, 2, 7, 0)))


def test_topics_without_a_column_are_still_topics():
    meta = pa.array(['{"topic_id": 4}', '{"topic_id": 2}'], pa.json_())
    assert [topic.topic_id for topic in table_topics(pa.table({BATCH_META: meta}))] == [4, 2]
