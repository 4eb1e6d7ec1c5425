"""Tables as the gate needs them: the rows of a topic in one table."""

import pyarrow as pa
import pytest

from mergeit_ops.core.columns import META
from mergeit_ops.dataset.gate_table import whole_topics
from mergeit_ops.dataset.tables import json_array


def table_of(topics: list[int | None], first: int = 0) -> pa.Table:
    metas = json_array({} if topic is None else {"topic_id": topic} for topic in topics)
    return pa.table({"n": list(range(first, first + len(topics))), META: metas})


@pytest.mark.parametrize(
    "topics", [[0] * 9, [0, 0, 1, 1, 1, 2, 3, 3, 3], [None] * 9, [0, 0, 0, None, None, 1, 1, 1, 1], []]
)
@pytest.mark.parametrize("size", [1, 2, 4, 20])
def test_a_topic_is_in_one_table_and_every_row_comes_once_and_in_order(topics, size):
    whole = table_of(topics)
    parts = [whole.slice(start, size) for start in range(0, len(topics), size)] + [whole.slice(0, 0)]
    cut = list(whole_topics(parts))
    assert [row for part in cut for row in part["n"].to_pylist()] == list(range(len(topics)))
    assert all(part.num_rows for part in cut)
    tables_of = [{topics[row] for row in part["n"].to_pylist()} - {None} for part in cut]
    for topic in set(topics) - {None}:
        assert sum(topic in found for found in tables_of) == 1


def test_rows_without_topics_are_not_held_back():
    parts = whole_topics([table_of([None, None]), table_of([None], first=2)])
    assert next(parts).num_rows == 2
