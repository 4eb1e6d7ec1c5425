"""The tools of a row and how it uses them, in every layout."""

import json
import time

import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.tool_use import Call, PlainTurn, Tool, ToolResult, ToolUse

SCHEMA = {"type": "object", "properties": {"herb": {"type": "string"}}}
FUNCTION = {"name": "tip", "description": "A tip", "parameters": SCHEMA}
TOOL = Tool("tip", json.dumps(SCHEMA, sort_keys=True))
ARGUMENTS = '{"herb": "basil"}'
ASKS = {"role": "user", "content": "How?"}
CALL = {"id": "1", "type": "function", "function": {"name": "tip", "arguments": ARGUMENTS}}
TAGGED = f'<tool_call>{{"name": "tip", "arguments": {ARGUMENTS}}}</tool_call>'


def use(row):
    return resolve_format("auto", list(row)).tool_use(row)


def chat(*turns, **columns):
    return {"messages": [ASKS, *turns], **columns}


@pytest.mark.parametrize(
    "tools",
    [
        [{"type": "function", "function": FUNCTION}],
        [FUNCTION],
        json.dumps([FUNCTION]),
        [json.dumps(FUNCTION)],
        repr([FUNCTION]),
        {"type": "function", "function": FUNCTION},
        [{"name": "tip", "input_schema": SCHEMA}],
        [{"name": "tip", "inputSchema": SCHEMA}],
        [{"function_declarations": [FUNCTION]}],
        # Arrow fills keys that only other tools have.
        [
            FUNCTION
            | {
                "parameters": SCHEMA
                | {"required": None, "properties": {"herb": {"type": "string", "enum": None}, "x": None}}
            }
        ],
        "\n".join(json.dumps(tool) for tool in [FUNCTION]),
    ],
)
@pytest.mark.parametrize("column", ["tools", "functions", "available_tools"])
def test_tools_of_a_column(tools, column):
    assert use(chat(**{column: tools})) == ToolUse((TOOL,), (PlainTurn(),))


@pytest.mark.parametrize(
    "row",
    [
        chat(chat_template_kwargs={"enable_thinking": False, "xml_tools": [json.dumps(FUNCTION)], "python_tools": []}),
        {"messages": [{"role": "system", "content": "Help.", "functions": json.dumps([FUNCTION])}, ASKS]},
        {"messages": [{"role": "system", "content": f"<tools>\n{json.dumps(FUNCTION)}\n</tools>"}, ASKS]},
        {"messages": [{"role": "system", "content": f"Help [them]. Tools: {json.dumps([FUNCTION])}"}, ASKS]},
        {"messages": [ASKS], "system": f"You may call: {json.dumps([FUNCTION])}"},
        {"instruction": "How?", "output": "", "tools": [FUNCTION]},
        {"instruction": "How?", "output": "", "system": f"You may call: {json.dumps([FUNCTION])}"},
        {"prompt": "How?", "completion": "", "tools": [FUNCTION]},
    ],
)
def test_tools_stand_in_many_places(row):
    assert use(row).tools == (TOOL,)


@pytest.mark.parametrize("tools", ["nonsense", "[1]", [{"no": "name"}], {"a": 1}])
def test_tools_that_cannot_be_read_are_said(tools):
    assert use(chat(tools=tools)).unread == "unreadable_tools"


@pytest.mark.parametrize("tools", [None, [], "", "[]"])
def test_no_tools_are_none(tools):
    assert use(chat(tools=tools)) == ToolUse((), (PlainTurn(),))


def test_a_choice_of_tools_is_no_tool():
    row = chat(tool_choice="auto", parallel_tool_calls=True, tools_used=3, tools=[FUNCTION])
    assert use(row) == ToolUse((TOOL,), (PlainTurn(),))


CONVERSATIONS = {
    "OpenAI": chat(
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "1", "content": "water"},
        {"role": "assistant", "content": "In water."},
    ),
    "OpenAI, arguments as an object": chat(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "function": {"name": "tip", "arguments": {"herb": "basil", "other": None}}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "water"},
        {"role": "assistant", "content": "In water."},
    ),
    "Anthropic": chat(
        {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "tip", "input": {"herb": "basil"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "water"}]},
        {"role": "assistant", "content": "In water."},
    ),
}


@pytest.mark.parametrize("name", list(CONVERSATIONS))
def test_a_call_and_its_result_by_their_id(name):
    assert use(CONVERSATIONS[name]).events == (
        PlainTurn(),
        Call("tip", ARGUMENTS, "1"),
        ToolResult("1", "", 1),
        PlainTurn(),
    )


@pytest.mark.parametrize(
    ("row", "events"),
    [
        (
            {
                "conversations": [
                    {"from": "human", "value": "How?"},
                    {"from": "function_call", "value": f'{{"name": "tip", "arguments": {ARGUMENTS}}}'},
                    {"from": "observation", "value": "water"},
                    {"from": "gpt", "value": "In water."},
                ]
            },
            (PlainTurn(), Call("tip", ARGUMENTS), ToolResult(), PlainTurn()),
        ),
        (
            chat(
                {"role": "assistant", "content": "", "function_call": {"name": "tip", "arguments": ARGUMENTS}},
                {"role": "function", "name": "tip", "content": "water"},
            ),
            (PlainTurn(), Call("tip", ARGUMENTS), ToolResult("", "tip", 1)),
        ),
        (
            chat(
                {"role": "assistant", "content": "I look.", "function_calls": "tip(herb='basil')"},
                {"role": "environment", "content": "water"},
            ),
            (PlainTurn(), PlainTurn(), Call("tip", ARGUMENTS), ToolResult()),
        ),
        (
            chat(
                {"role": "assistant", "content": TAGGED + TAGGED},
                {"role": "tool", "content": "<tool_response>a</tool_response><tool_response>b</tool_response>"},
            ),
            (PlainTurn(), PlainTurn(), Call("tip", ARGUMENTS), Call("tip", ARGUMENTS), ToolResult(number=2)),
        ),
        (
            chat(
                {"role": "assistant", "content": TAGGED},
                {"role": "user", "content": "<tool_response>\nwater\n</tool_response>"},
            ),
            (PlainTurn(), PlainTurn(), Call("tip", ARGUMENTS), ToolResult(number=1)),
        ),
        ({"instruction": "How?", "output": TAGGED}, (PlainTurn(), PlainTurn(), Call("tip", ARGUMENTS))),
        ({"instruction": "How?", "output": '[tip(herb="basil")]'}, (PlainTurn(), PlainTurn(), Call("tip", ARGUMENTS))),
        (
            {"prompt": [ASKS], "completion": [{"role": "assistant", "content": TAGGED}]},
            (PlainTurn(), PlainTurn(), Call("tip", ARGUMENTS)),
        ),
        # A trace may speak of a call.
        (chat({"role": "assistant", "content": f"<think>{TAGGED}?</think>No."}), (PlainTurn(), PlainTurn())),
        # The calls of a field are written into the text too.
        (
            chat({"role": "assistant", "content": TAGGED, "tool_calls": [CALL]}),
            (PlainTurn(), PlainTurn(), Call("tip", ARGUMENTS, "1")),
        ),
    ],
)
def test_calls_and_results_of_a_conversation(row, events):
    assert use(row).events == events


def test_a_call_in_an_unknown_form_is_said():
    row = chat({"role": "assistant", "content": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>tip"})
    assert use(row).unread == "unreadable_call"


def test_odd_rows_raise_nothing():
    deep: object = {"name": "tip"}
    for _ in range(150):
        deep = {"function": deep}
    for value in (7, b"x", deep, [deep], "[" * 100_000, "[" * 700 + "]" * 700, {"name": 3}, [[None]], float("nan")):
        use(
            chat(
                {"role": "assistant", "content": value, "tool_calls": value},
                {"role": "tool", "content": value},
                tools=value,
            )
        )
        use({"messages": value, "tools": value})
        use({"instruction": value, "output": value, "tools": value})


@pytest.mark.parametrize("text", ["<tools>" * 100_000, '"parameters": ' + "[{" * 200_000, '{"parameters": {' * 50_000])
def test_a_long_system_prompt_takes_no_time(text):
    began = time.perf_counter()
    use({"messages": [{"role": "system", "content": text}, ASKS]})
    assert time.perf_counter() - began < 10
