"""Turns of a conversation: who speaks, what is said, and what a merge would lose."""

import json

import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.formats.turns import known_turns, spoken, turns_in
from mergeit_ops.core.sample import Sample
from tests.core.formats.toys import CHAT

MERGED = [{"role": "user", "content": "Und – “so”?"}, {"role": "assistant", "content": "Ja."}]


@pytest.mark.parametrize(
    "dump",
    [
        json.dumps,
        lambda turns: json.dumps(turns, ensure_ascii=False),
        lambda turns: json.dumps(turns, separators=(",", ":")),
        lambda turns: json.dumps(turns, ensure_ascii=False, separators=(",", ":")),
        repr,
        lambda turns: [json.dumps(turn) for turn in turns],
        list,
        lambda turns: "\ufeff" + json.dumps(turns, indent=1) + "\n",
    ],
)
@pytest.mark.parametrize("column", ["messages", "conversations", "conversation"])
def test_turns_stored_as_text_are_read_and_written_back_as_text(column, dump):
    row = {column: dump(CHAT)}
    layout = resolve_format("auto", [column])
    assert layout.read(row).sample == Sample("Wieso – “so”?", "", "Darum.")
    assert layout.read(row).problem is None
    written = layout.write(Sample("Und – “so”?", "", "Ja."), [row, row])[column]
    assert type(written) is type(row[column])
    if isinstance(row[column], str) and row[column].startswith("\ufeff"):
        assert json.loads(written) == MERGED
    else:
        assert written == dump(MERGED)
    assert layout.read({column: written}).sample == Sample("Und – “so”?", "", "Ja.")


@pytest.mark.parametrize("value", ["", "hello", "[", "[1, 2]", "{}", '"x"', "[}", "null", "[" * 5000, 7, None, b"x"])
def test_a_column_of_turns_that_holds_none_is_unreadable(value):
    reading = resolve_format("auto", ["messages"]).read({"messages": value})
    assert not reading.is_readable
    assert reading.problem == "bad_row"


@pytest.mark.parametrize("dump", [json.dumps, lambda turns: [json.dumps(turn) for turn in turns], repr])
@pytest.mark.parametrize("turn", [0, 1, 2])
def test_half_a_surrogate_pair_is_read_but_not_merged(dump, turn):
    turns = [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
    ]
    layout = resolve_format("auto", ["messages"])
    assert layout.read({"messages": dump(turns)}).problem is None
    turns[turn]["content"] += "\ud83d"
    reading = layout.read({"messages": dump(turns)})
    assert (reading.problem, reading.is_readable) == ("bad_row", True)


@pytest.mark.parametrize("user", ["user", "human", "Human:", "USER", "prompter", "customer", "question"])
@pytest.mark.parametrize(
    "assistant", ["assistant", "ai", "AI", "bot", "model", "gpt", "gpt-4", "<|assistant|>", "agent"]
)
@pytest.mark.parametrize(
    ("role", "text"), [("role", "content"), ("from", "value"), ("speaker", "text"), ("role", "message")]
)
def test_common_names_of_speakers_and_fields_are_known(user, assistant, role, text):
    row = {"conversations": [{role: user, text: "Why?"}, {role: assistant, text: "So."}]}
    layout = resolve_format("auto", list(row))
    assert layout.read(row).sample == Sample("Why?", "", "So.")
    assert layout.read(row).problem is None
    written = layout.write(Sample("a", "", "b"), [row, row])
    assert written == {"conversations": [{role: user, text: "a"}, {role: assistant, text: "b"}]}


@pytest.mark.parametrize(
    ("turn_of", "fields", "problem"),
    [
        (1, {"function_calls": "f()"}, "more_than_text"),
        (0, {"functions": "[{}]"}, "more_than_text"),
        (0, {"attachments": ["a.pdf"]}, "more_than_text"),
        (1, {"a_field_that_nobody_knows": 1}, "more_than_text"),
        (1, {"a_field_that_nobody_knows": False}, "more_than_text"),
        (1, {"refusal": "No."}, "more_than_text"),
        (1, {"audio": {"id": "x"}}, "more_than_text"),
        (1, {"logprobs": {"content": [0.1]}}, "more_than_text"),
        (1, {"reasoning": "Hm."}, "reasoning"),
        (1, {"reasoning_details": [{"text": "Hm."}]}, "reasoning"),
        (1, {"thinking": "Hm."}, "reasoning"),
        (1, {"channel": "analysis"}, "reasoning"),
        (1, {"content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "So."}]}, "reasoning"),
        (1, {"channel": "final"}, None),
        (1, {"reasoning": "off"}, None),
        (1, {"id": "x", "timestamp": 3, "model": "m", "token_count": 7}, None),
        (1, {"function_calls": None, "functions": "", "tool_calls": [], "audio": {"id": None}}, None),
    ],
)
def test_a_field_of_a_turn_keeps_a_row_from_being_merged_unless_it_is_known(turn_of, fields, problem):
    for name, column in (("messages", "messages"), ("prompt_completion", None)):
        turns = [dict(turn) for turn in CHAT]
        turns[turn_of] |= fields
        row = {column: turns} if column else {"prompt": turns[:1], "completion": turns[1:]}
        assert resolve_format(name, list(row)).read(row).problem == problem


@pytest.mark.parametrize("field", ["weight", "train", "name", "loss_mask"])
def test_turns_that_are_trained_on_in_different_ways_have_different_contexts(field):
    layout = resolve_format("auto", ["messages"])
    contexts = [layout.read({"messages": [CHAT[0], CHAT[1] | {field: value}]}).context for value in (0, 1, None)]
    assert len(set(contexts)) == 3
    assert layout.read({"messages": CHAT}).context == contexts[2] == ""


def test_turns_are_shown_as_who_says_what():
    assert spoken(CHAT) == [("user", "Wieso – “so”?"), ("assistant", "Darum.")]
    assert spoken(json.dumps(CHAT)) == spoken(CHAT)
    assert spoken([*CHAT, {"role": "nobody", "content": "x"}]) is None
    for value in (None, [], "", "text", 7, float("nan"), [1]):
        assert spoken(value) is None


def test_text_with_null_characters_or_nested_without_end_is_no_list_of_turns():
    for value in ("[\0]", "[" * 100_000, "[" * 3_000 + "]" * 3_000, "{'a': " * 3_000):
        assert known_turns(turns_in(value) or []) == []


def test_a_turn_without_its_own_text_field_takes_another():
    (turn,) = known_turns([{"role": "user", "content": None, "value": "a"}])
    assert (turn.text_field, turn.content.text) == ("value", "a")
    assert known_turns([{"role": None, "content": "a"}, {"content": "a"}, None, "x", 7]) == []
