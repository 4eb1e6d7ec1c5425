"""Columns that merging empties."""

import pyarrow as pa

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.merging.pairing import Group
from mergeit_ops.dataset.emptied_columns import disagreements, emptied
from mergeit_ops.dataset.topics import Topic

LAYOUT = resolve_format("alpaca", ["instruction", "input", "output", "source"])


def test_a_column_is_emptied_where_a_parent_has_a_value_and_the_layout_does_not_write_it():
    parents = [{"instruction": "a", "input": "x", "source": "s", "n": None, "m": 0}, {"source": "t", "n": None, "m": 1}]
    parents[1] |= {"instruction": "b", "input": "y"}
    row = {"instruction": "c", "input": None, "source": None, "n": None, "m": None}
    assert list(emptied(row, parents, LAYOUT)) == ["source", "m"]
    assert list(emptied(row | {"source": "s", "m": 0}, parents, LAYOUT)) == []


def test_each_merge_of_rows_that_disagree_counts():
    table = pa.table({"source": ["a", "a", "b", None], "tags": [["x"], ["x"], ["x"], []]})
    topic = Topic(0, table, {})
    groups = [Group((0, 1), 0.9), Group((0, 2), 0.8), Group((2, 3), 0.7)]
    assert list(disagreements(topic, groups, ["source", "tags"])) == ["source", "source", "tags"]
    assert list(disagreements(topic, [], ["source"])) == []
    assert list(disagreements(topic, groups, ["tags"])) == ["tags"]
