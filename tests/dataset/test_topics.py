"""Topics as rows: the same ones in whatever blocks they are written."""

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset, Features, Json, List, Value

from mergeit_ops.core.columns import BATCH_META
from mergeit_ops.dataset import topics
from mergeit_ops.dataset.topics import Topic, group_rows, is_grouped, topic_table
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
