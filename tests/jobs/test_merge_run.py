"""A merge under way over many topics."""

from __future__ import annotations

import pyarrow as pa
import pytest

from mergeit_ops.core.columns import META
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.merging.pairing import Group
from mergeit_ops.core.sample import Sample
from mergeit_ops.dataset.derived_columns import DerivedColumns
from mergeit_ops.dataset.merge_table import Merge, TopicMerges
from mergeit_ops.dataset.tables import TableList, python_rows
from mergeit_ops.dataset.topics import Topic
from mergeit_ops.jobs.merge_run import MergeRun

COLUMNS = ["instruction", "output", "system"]
LAYOUT = resolve_format("alpaca", COLUMNS)


def topic(number, names, groups, systems=None, **columns):
    table = pa.table(
        {
            "instruction": [f"Do {name}." for name in names],
            "output": [f"Done {name}." for name in names],
            "system": systems or ["S"] * len(names),
            **columns,
        }
    )
    readings = [LAYOUT.read(row) for row in table.to_pylist()]
    ids = [f"{number}{name}" for name in names]
    return TopicMerges(Topic(number, table, {}), ids, readings, [Group(group, 0.9) for group in groups])


@pytest.fixture
def work():
    sink = TableList()
    run = MergeRun(LAYOUT, sink, None, DerivedColumns.parse(None))
    run.sink = sink
    return run


def written(work):
    return [row["instruction"] for table in work.sink._tables for row in python_rows(table)]


def test_topics_are_written_in_order_when_all_their_groups_are_settled(work):
    first, second = topic(0, "abc", [(0, 1)]), topic(1, "de", [])
    for each in (first, second):
        work.open(each)
    assert list(work.mergeable_groups(first)) == [0]
    assert written(work) == []
    work.settle(first, 0, Merge((Sample("Do both.", "", "Done both."),), model="m"))
    assert written(work) == ["Do both.", "Do c.", "Do d.", "Do e."]
    work.finish()
    assert (work.topics, work.pairs, work.merged) == (2, 1, 1)
    assert work.entered == ["0a", "0b", "0c", "1d", "1e"]
    (row_id,) = work.merges
    assert work.merges[row_id]["parents"] == ["0a", "0b"]


def test_a_merge_has_the_system_prompt_that_its_parents_share(work):
    one = topic(0, "abcd", [(0, 1), (2, 3)], systems=["S", "S", "S", "T"])
    work.open(one)
    for number in work.mergeable_groups(one):
        work.settle(one, number, Merge((Sample("x", "", "y"),)))
    work.finish()
    (table,) = work.sink._tables
    assert [row["system"] for row in python_rows(table)] == ["S", None]


def test_a_failed_merge_leaves_its_parents_with_the_reason(work):
    one = topic(0, "ab", [(0, 1)])
    work.open(one)
    list(work.mergeable_groups(one))
    work.settle(one, 0, Merge(error="refused"))
    work.finish()
    (table,) = work.sink._tables
    rows = python_rows(table)
    assert [row["instruction"] for row in rows] == ["Do a.", "Do b."]
    assert [row[META]["merge_error"] for row in rows] == ["refused", "refused"]
    assert work.failed == {"refused": 1}


def test_a_group_without_a_text_form_is_settled_unmerged(work):
    times = pa.array([1, 2, 3, 4], pa.time64("ns"))
    one = topic(0, "abcd", [(0, 1), (2, 3)], at=times)
    work.open(one)
    assert list(work.mergeable_groups(one)) == []
    work.finish()
    assert work.failed == {"unencodable": 2}
    assert written(work) == ["Do a.", "Do b.", "Do c.", "Do d."]


def test_an_outcome_that_is_left_out_is_an_error_of_ours(work):
    work.open(topic(0, "ab", [(0, 1)]))
    with pytest.raises(AssertionError, match="are left in 1 topic"):
        work.finish()


def test_rows_that_may_not_be_merged_are_counted_by_reason(work):
    work.open(topic(0, "abc", [], output=["", "", "x"]))
    assert work.unmergeable == {"bad_row": 2}
