"""Conversations with calls of tools: read in the form that chat templates take."""

from __future__ import annotations

import json

import pytest

from mergeit_ops.core.sample import Sample
from mergeit_ops.training.conversations import conversation_with_calls
from mergeit_ops.training.encoding import RowEncoder
from tests.tiny_models import chat_tokenizer

TEMPLATE = (
    "{% if tools %}({% for tool in tools %}{{ tool.function.name }}{% endfor %}){% endif %}"
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}"
    "{% for call in m.tool_calls or [] %}[{{ call.function.name }} {{ call.function.arguments | tojson }}]{% endfor %}"
    "{% if m.role == 'assistant' %}</s>{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {}}}]
CALL = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
TURNS = [
    {"role": "user", "content": "sum?"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "1", "content": "2"},
    {"role": "assistant", "content": "It is 2."},
]


@pytest.mark.parametrize("as_text", [False, True])
def test_turns_calls_and_tools_are_read(as_text):
    row = {"messages": json.dumps(TURNS) if as_text else TURNS, "tools": json.dumps(TOOLS) if as_text else TOOLS}
    found = conversation_with_calls(row)
    assert found.tools == TOOLS
    assert found.called == {"add"}
    assert found.turns[1]["tool_calls"][0]["function"] == {"name": "add", "arguments": {"a": 1}}
    assert found.turns[2] == {"role": "tool", "tool_call_id": "1", "content": "2"}


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "a", "output": "b"},
        {"messages": TURNS[:1] + TURNS[3:]},
        {"messages": [*TURNS, {"role": "narrator", "content": "x"}]},
        {"messages": [TURNS[0], {"role": "assistant", "content": "", "tool_calls": [{"name": "add"}]}]},
        {"messages": TURNS, "tools": "no JSON"},
    ],
)
def test_what_cannot_be_read_is_none(row):
    assert conversation_with_calls(row) is None


def test_calls_are_trained_on_as_the_template_writes_them():
    own = chat_tokenizer(template=TEMPLATE)
    conversation = conversation_with_calls({"messages": TURNS, "tools": TOOLS})
    row = RowEncoder(own, 500).encode(Sample("sum?", "", "It is 2."), conversation)
    (text,) = row.texts
    answers = [own.decode(text.tokens[first:stop]) for first, stop in text.answers]
    assert answers == ['[add {"a": 1}]</s>', "It is 2.</s>"]
    assert own.decode(text.tokens).startswith("(add)<user>sum?")
    assert not row.calls_lost


def test_a_template_that_leaves_calls_out_trains_on_the_texts_and_says_so():
    own = chat_tokenizer()
    conversation = conversation_with_calls({"messages": TURNS, "tools": TOOLS})
    row = RowEncoder(own, 500).encode(Sample("sum?", "", "It is 2."), conversation)
    assert row.calls_lost
    ((first, stop),) = row.texts[0].answers
    assert own.decode(row.texts[0].tokens[first:stop]) == "It is 2.</s>"
