"""Combining stats of each row of a table into one."""

import pyarrow as pa
import pytest

from mergeit_ops.core.columns import STATS
from mergeit_ops.core.scoring.combination import Combination
from mergeit_ops.dataset.stats import stats_of
from mergeit_ops.dataset.tables import json_array
from mergeit_ops.jobs.combining import CombineJob
from mergeit_ops.jobs.fields import Field

RULE = Combination({"a": 2.0, "b": -1.0}, intercept=0.5)
FIELDS = (Field(STATS, ("a",)), Field("b"))
STATS_OF_ROWS = [{"a": 3.0}, {"a": 1.0, "own": "x"}, {}, {"a": 1.0}]
TABLE = pa.table({"b": [1.0, None, 2.0, float("nan")], STATS: json_array(STATS_OF_ROWS)})


def run(rule=RULE, marks=False, table=TABLE):
    return CombineJob(rule, FIELDS, "total", marks).run(table)


def test_the_sum_of_a_row_stands_beside_its_stats():
    scored = run()
    found = stats_of(scored.table)
    assert found[0] == {"a": 3.0, "total": pytest.approx(5.5), "total_status": "ok"}
    assert [row["total_status"] for row in found] == ["ok", "missing_b", "missing_a", "missing_b"]
    assert found[1] == {"a": 1.0, "own": "x", "total_status": "missing_b"}
    assert scored.figures == {"unscored": {"missing_b": 2, "missing_a": 1}}
    assert scored.table.column_names == TABLE.column_names


def test_a_mark_is_that_of_the_rule_and_of_the_parts():
    marks = [row["total_made_by"] for row in stats_of(run(marks=True).table)]
    assert marks == [row["total_made_by"] for row in stats_of(run(marks=True).table)]
    assert len(set(marks)) == 4
    other = [row["total_made_by"] for row in stats_of(run(Combination({"a": 1.0, "b": 1.0}), marks=True).table)]
    assert not set(marks) & set(other)


def test_stats_that_a_column_hides_are_counted():
    table = TABLE.drop_columns([STATS]).append_column(STATS, json_array([{"a": 3.0, "b": 9.0}] * 3 + [{"a": 3.0}]))
    scored = run(table=table)
    assert stats_of(scored.table)[0]["total"] == pytest.approx(5.5)
    assert scored.figures["hidden_stats"] == {"b": 3}


def test_no_rows_have_no_stats():
    scored = run(table=TABLE.slice(0, 0))
    assert (scored.table.num_rows, scored.figures) == (0, {"unscored": {}})
    assert set(CombineJob(RULE, FIELDS, "total", True).types) == {"total", "total_status", "total_made_by"}
