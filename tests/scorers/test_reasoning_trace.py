"""The scorer of reasoning traces, as recipes use it."""

import pytest

from mergeit_ops.core.columns import STATS
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops import QualityGateFilter, SampleScoreFilter
from tests.recipe_runs import make_dataset

STAT_KEYS = ("trace_loop_score", "trace_length", "trace_share", "trace_truncated")
LOOP = "wait, that cannot be right. " * 30
ROWS = [
    {"instruction": "a", "output": f"<think>\n{LOOP}\n</think>\n\nSo."},
    {"instruction": "b", "output": "<think>\nThree words here.\n</think>\n\nSo."},
    {"instruction": "c", "output": "<think>\nHm, and then the"},
    {"instruction": "d", "output": "No trace."},
]


def kept(**parameters):
    return [
        row["instruction"] for row in SampleScoreFilter(scorer="reasoning_trace", **parameters).run(make_dataset(ROWS))
    ]


def test_each_measure_is_a_stat():
    rows = [row[STATS] for row in SampleScoreFilter(scorer="reasoning_trace").run(make_dataset(ROWS))]
    assert [rows[1][key] for key in STAT_KEYS] == [0.0, 3.0, 0.75, 0.0]
    assert rows[0]["trace_loop_score"] == 1.0
    assert rows[2]["trace_truncated"] == 1.0
    assert [(rows[3][key], rows[3][key + "_status"]) for key in STAT_KEYS] == [(None, "no_trace")] * 4


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"max_score": 0.3}, ["b", "c", "d"]),
        ({"max_score": 0.3, "on_missing_score": "drop"}, ["b", "c"]),
        ({"measure": "truncated", "max_score": 0}, ["a", "b", "d"]),
        ({"measure": "length", "min_score": 3, "max_score": 10}, ["b", "c", "d"]),
        ({"measure": "share", "max_score": 0.8}, ["b", "d"]),
    ],
)
def test_each_measure_may_be_bounded(parameters, expected):
    assert kept(**parameters) == expected


def test_a_trace_in_a_field_changes_the_stat_although_the_answer_stays():
    """A stat that a row brings counts only while its trace is the same."""

    def row(trace):
        return {
            "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "reasoning": trace}]
        }

    operator = SampleScoreFilter(scorer="reasoning_trace")
    (scored,) = operator.run(make_dataset([row("One two.")]))
    scored["messages"][1]["reasoning"] = "One two three."
    (again,) = operator.run(make_dataset([scored]))
    assert (scored[STATS]["trace_length"], again[STATS]["trace_length"]) == (2, 3)
    assert scored[STATS]["trace_length_made_by"] != again[STATS]["trace_length_made_by"]


def test_the_gate_refuses_it():
    with pytest.raises(
        RecipeError, match=r"a row with a reasoning trace is never merged\. Use it in sample_score_filter"
    ):
        QualityGateFilter(scorer="reasoning_trace")
