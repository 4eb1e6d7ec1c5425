"""Whether tool calls fit their tools, and results their calls."""

import json

import pytest

from mergeit_ops.core.scoring.json_schemas import Schemas
from mergeit_ops.core.scoring.tool_calls import MEASURES, tool_call_figures
from mergeit_ops.core.tool_use import Call, PlainTurn, Tool, ToolResult, ToolUse

SCHEMA = json.dumps({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
TOOLS = (Tool("f", SCHEMA), Tool("g", ""))
GOOD = '{"n": 1}'


def figures(*events, tools=TOOLS, unread=""):
    return tool_call_figures(ToolUse(tools, events, unread), Schemas())


def told(*events, **more):
    """Return the figures that are not 0."""
    found = figures(*events, **more)
    assert list(found) == list(MEASURES)
    return {name: value for name, value in found.items() if value}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([Call("f", GOOD)], {"valid_share": 1, "calls": 1}),
        ([Call("g", '{"any": "thing"}')], {"valid_share": 1, "calls": 1}),
        ([Call("f", '{"n": "x"}')], {"calls": 1, "invalid_arguments": 1}),
        ([Call("f", "{}")], {"calls": 1, "invalid_arguments": 1}),
        ([Call("f", None)], {"calls": 1, "malformed_arguments": 1}),
        ([Call("", None)], {"calls": 1, "malformed_arguments": 1}),
        ([Call("h", GOOD)], {"calls": 1, "unknown_tools": 1}),
        ([Call("h", None)], {"calls": 1, "unknown_tools": 1}),
        (
            [Call("f", GOOD), Call("f", "{}"), Call("h", "{}"), Call("f", GOOD)],
            {"valid_share": 0.5, "calls": 4, "invalid_arguments": 1, "unknown_tools": 1},
        ),
        # Results by id, in any order.
        (
            [Call("f", GOOD, "1"), Call("f", GOOD, "2"), ToolResult("2", "", 1), ToolResult("1", "", 1), PlainTurn()],
            {"valid_share": 1, "calls": 2},
        ),
        (
            [Call("f", GOOD, "1"), ToolResult("2", "", 1), PlainTurn()],
            {"valid_share": 0.5, "calls": 1, "orphan_results": 1, "unanswered_calls": 1},
        ),
        # The same result twice.
        (
            [Call("f", GOOD, "1"), ToolResult("1", "", 1), ToolResult("1", "", 1)],
            {"valid_share": 0.5, "calls": 1, "orphan_results": 1},
        ),
        # Without ids, in order, or by name.
        (
            [Call("f", GOOD), Call("g", "{}"), ToolResult("", "", 1), ToolResult("", "", 1), PlainTurn()],
            {"valid_share": 1, "calls": 2},
        ),
        (
            [Call("f", GOOD), Call("g", "{}"), ToolResult("", "g", 1), PlainTurn()],
            {"valid_share": 1, "calls": 2, "unanswered_calls": 1},
        ),
        ([Call("f", GOOD), ToolResult("", "h", 1)], {"valid_share": 0.5, "calls": 1, "orphan_results": 1}),
        # One turn for the results of all calls.
        ([Call("f", GOOD), Call("g", "{}"), ToolResult(), PlainTurn()], {"valid_share": 1, "calls": 2}),
        ([Call("f", GOOD), Call("g", "{}"), ToolResult(number=2), PlainTurn()], {"valid_share": 1, "calls": 2}),
        # Results of nothing.
        ([PlainTurn(), ToolResult()], {"orphan_results": 1}),
        ([ToolResult("1", "", 1)], {"orphan_results": 1}),
        # A conversation may end in a call; one that goes on leaves it without an answer.
        ([PlainTurn(), Call("f", GOOD)], {"valid_share": 1, "calls": 1}),
        ([Call("f", GOOD), PlainTurn()], {"valid_share": 1, "calls": 1, "unanswered_calls": 1}),
        # An answer by id may come late.
        ([Call("f", GOOD, "1"), PlainTurn(), ToolResult("1", "", 1)], {"valid_share": 1, "calls": 1}),
    ],
)
def test_each_mistake_is_counted(events, expected):
    assert told(*events) == expected


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (figures(), "no_tool_calls"),
        (figures(PlainTurn()), "no_tool_calls"),
        (figures(Call("f", GOOD), tools=()), "no_tools"),
        (figures(ToolResult(), tools=()), "no_tools"),
        (figures(Call("f", GOOD), unread="unreadable_tools"), "unreadable_tools"),
        (figures(Call("f", GOOD), tools=(Tool("f", "{"),)), "invalid_schema"),
        (figures(Call("f", GOOD), tools=(Tool("f", '{"$ref": "http://localhost/x"}'),)), "unresolved_reference"),
    ],
)
def test_a_row_that_nobody_can_check_has_a_reason(found, reason):
    assert found == reason


def test_the_schema_of_a_tool_that_is_not_called_does_not_matter():
    assert told(Call("f", GOOD), tools=(*TOOLS, Tool("h", "{"))) == {"valid_share": 1, "calls": 1}
