"""Tool calls as they are written."""

import json
import time

import pytest

from mergeit_ops.core.formats.tool_calls import calls_in_text, calls_in_value
from mergeit_ops.core.tool_use import Call

F = Call("f", '{"x": 1}')


@pytest.mark.parametrize(
    ("value", "calls"),
    [
        (None, []),
        ([], []),
        ("", []),
        (
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
            [F._replace(call_id="1")],
        ),
        ([{"function": {"name": "f", "arguments": {"x": 1}}}], [F]),
        ({"name": "f", "arguments": {"x": 1}}, [F]),
        ({"name": "f", "parameters": {"x": 1}}, [F]),
        ({"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}}, [F._replace(call_id="t")]),
        ('[{"name": "f", "arguments": {"x": 1}}, {"name": "g", "arguments": {}}]', [F, Call("g", "{}")]),
        ("{'name': 'f', 'arguments': '{\"x\": 1}'}", [F]),
        ("f(x=1)", [F]),
        ("[f(x=1), a.g()]", [F, Call("a.g", "{}")]),
        # A call without arguments.
        ({"name": "f"}, [Call("f", "{}")]),
        ({"name": "f", "arguments": ""}, [Call("f", "{}")]),
        ({"name": "f", "arguments": None}, [Call("f", "{}")]),
        # Arrow fills keys that only other calls have.
        ({"name": "f", "arguments": {"x": 1, "y": None}}, [F]),
        # A null of the caller's own stays.
        ({"name": "f", "arguments": '{"x": null}'}, [Call("f", '{"x": null}')]),
        # Arguments that are no JSON object.
        ({"name": "f", "arguments": '{"x": 1'}, [Call("f", None)]),
        ({"name": "f", "arguments": "{'x': 1}"}, [Call("f", None)]),
        ({"name": "f", "arguments": '{"x": NaN}'}, [Call("f", None)]),
        ({"name": "f", "arguments": "[1]"}, [Call("f", None)]),
        ({"name": "f", "arguments": json.dumps('{"x": 1}')}, [Call("f", None)]),
        ({"name": "f", "arguments": 7}, [Call("f", None)]),
        ("f(1)", [Call("f", None)]),
        ("f(x=y)", [Call("f", None)]),
        # What is no call at all.
        ("call me", [Call("", None)]),
        (7, [Call("", None)]),
        ({"x": 1}, [Call("", "{}")]),
    ],
)
def test_calls_of_a_field(value, calls):
    assert calls_in_value(value) == calls


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("Plain.", []),
        ('<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call>', [F]),
        (
            'First.\n<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>\n<tool_call>{"name": "g"}</tool_call>',
            [F, Call("g", "{}")],
        ),
        ('<tool_call>[{"name": "f", "arguments": {"x": 1}}, {"name": "g"}]</tool_call>', [F, Call("g", "{}")]),
        ('<tool_call>{"name": "f", "arguments": {"x": 1}}\n{"name": "g"}</tool_call>', [F, Call("g", "{}")]),
        ('<tool_call>{"name": "f", "arguments": {"x": 1}</tool_call>', [Call("", None)]),
        ('<tool_call>{"name": "f", "arg', [Call("", None)]),
        ("<tool_call></tool_call>", [Call("", None)]),
        ('<functioncall> {"name": "f", "arguments": \'{"x": 1}\'} <|endoftext|>', [F]),
        ("<function=f><parameter=x>1</parameter></function>", [F]),
        ("<tool_call>\n<function=f>\n<parameter=x>\n1\n</parameter>\n</function>\n</tool_call>", [F]),
        ('<function=f>{"x": 1}</function>', [F]),
        ('<function_calls><invoke name="f"><parameter name="x">1</parameter></invoke></function_calls>', [F]),
        ("<tool_call>f\n<arg_key>x</arg_key>\n<arg_value>1</arg_value>\n</tool_call>", [F]),
        ('[TOOL_CALLS] [{"name": "f", "arguments": {"x": 1}}]</s>', [F]),
        ('<|tool_call|>[{"name": "f", "arguments": {"x": 1}}]<|/tool_call|>', [F]),
        ('<|python_tag|>{"name": "f", "parameters": {"x": 1}}', [F]),
        ('[{"name": "f", "arguments": {"x": 1}}]', [F]),
        ('{"name": "f", "arguments": {"x": 1}}', [F]),
        ("[f(x=1), g()]", [F, Call("g", "{}")]),
        ("I call it.\n[f(x=1)]\nThen I wait.", [F]),
        ("```\n[f(x=1)]\n```", []),
        ('[{"name": "Ann", "age": 3}]', []),
        # A text with a tag of its own as an argument.
        ("<function=f><parameter=x>a < b</parameter></function>", [Call("f", '{"x": "a < b"}')]),
    ],
)
def test_calls_in_an_answer(text, calls):
    assert calls_in_text(text) == calls


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>" * 60_000,
        "[TOOL_CALLS] " + "[" * 500_000,
        "{" * 500_000,
        "<function=f>" * 60_000,
        "[f(" * 200_000 + ")]",
        '<tool_call>{"name": "f", "arguments": ' + '{"a": ' * 100_000 + "</tool_call>",
    ],
)
def test_a_long_text_takes_no_time_and_raises_nothing(text):
    began = time.perf_counter()
    calls_in_text(text)
    calls_in_value(text)
    assert time.perf_counter() - began < 10
