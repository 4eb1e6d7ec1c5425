"""The check of tool calls, as recipes use it."""

import json
import pickle

import pytest

from mergeit_ops.core.columns import STATS
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops import QualityGateFilter, SampleScoreFilter
from mergeit_ops.scorers.tool_call_check import ToolCallCheck
from tests.recipe_runs import make_dataset

SCHEMA = {"type": "object", "properties": {"herb": {"type": "string"}}, "required": ["herb"]}


def row(name, arguments, schema=SCHEMA):
    call = {"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}
    return {
        "messages": [
            {"role": "user", "content": "How do I keep basil?"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
        ],
        "tools": json.dumps([{"type": "function", "function": {"name": "tip", "parameters": schema}}]),
    }


ROWS = [
    row("tip", '{"herb": "basil"}'),
    row("tip", '{"herb": 3}'),
    row("tip", '{"herb": "basil"'),
    row("trick", "{}"),
    row("tip", "{}", {"type": "nonsense"}),
]


def stats(rows, **parameters):
    return [
        scored[STATS] for scored in SampleScoreFilter(scorer="tool_call_check", **parameters).run(make_dataset(rows))
    ]


def test_each_measure_is_a_stat():
    keys = ("valid_share", "invalid_arguments", "malformed_arguments", "unknown_tools", "orphan_results")
    found = stats(ROWS)
    assert [[one[f"tool_call_{key}"] for key in keys] for one in found[:4]] == [
        [1, 0, 0, 0, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 1, 0],
    ]
    assert [one["tool_calls"] for one in found] == [1, 1, 1, 1, None]
    assert found[4]["tool_call_valid_share_status"] == "invalid_schema"


def test_a_bound_keeps_the_rows_whose_calls_are_all_valid():
    assert len(stats(ROWS, min_score=1)) == 2  # the row that nobody can check stays
    assert len(stats(ROWS, min_score=1, on_missing_score="drop")) == 1
    assert len(stats(ROWS, measure="unknown_tools", max_score=0)) == 4


def test_a_row_without_tools_says_so():
    (found,) = stats([{"instruction": "a", "output": "b"}])
    assert found["tool_call_valid_share_status"] == "no_tool_calls"


def test_other_tools_make_the_stat_anew():
    operator = SampleScoreFilter(scorer="tool_call_check")
    (scored,) = operator.run(make_dataset(ROWS[:1]))
    scored["tools"] = "[]"
    (again,) = operator.run(make_dataset([scored]))
    assert scored[STATS]["tool_call_valid_share"] == 1
    assert again[STATS]["tool_call_valid_share_status"] == "no_tools"


def test_it_can_be_sent_to_another_process_after_use():
    scorer = ToolCallCheck()
    scorer.measure([])
    assert pickle.loads(pickle.dumps(scorer)).measure([]) == []


def test_the_gate_refuses_it():
    with pytest.raises(RecipeError, match=r"a row with tools is never merged\. Use it in sample_score_filter"):
        QualityGateFilter(scorer="tool_call_check")
