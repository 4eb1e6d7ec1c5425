"""Layouts with one column for the prompt and one for the answer."""

import json

import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.sample import Round, Sample


def test_turns_as_text_whose_speaker_nobody_knows_are_no_text():
    asked = json.dumps([{"role": "x", "content": "Why?"}])
    reading = resolve_format("auto", ["prompt", "completion"]).read({"prompt": asked, "completion": "So."})
    assert reading.problem == "bad_row"
    assert not reading.is_readable


@pytest.mark.parametrize("prompt", ["Why?", [{"role": "user", "content": "Why?"}]])
@pytest.mark.parametrize("completion", ["So.", [{"role": "assistant", "content": "So."}]])
@pytest.mark.parametrize("as_text", [False, True])
def test_either_side_of_a_prompt_and_its_completion_may_be_text_or_turns(prompt, completion, as_text):
    row = {"prompt": prompt, "completion": completion}
    if as_text:
        row = {name: value if isinstance(value, str) else json.dumps(value) for name, value in row.items()}
    layout = resolve_format("auto", list(row))
    assert layout.read(row).sample == Sample("Why?", "", "So.")
    written = layout.write(Sample("a", "b", "c"), [row, row])
    assert [type(value) for value in written.values()] == [type(value) for value in row.values()]
    assert layout.read(written).sample == Sample("a\n\nb", "", "c")


def test_a_prompt_of_several_turns_is_a_conversation():
    chat = [{"role": who, "content": who} for who in ("system", "user", "assistant", "user")]
    row = {"prompt": chat, "completion": [{"role": "assistant", "content": "So."}]}
    reading = resolve_format("auto", list(row)).read(row)
    assert reading.problem == "multi_turn"
    rounds = (Round("user", "assistant"), Round("user", "So."))
    assert reading.sample == Sample("user\nuser", "", "assistant\nSo.", "system", rounds)


def test_a_text_that_looks_like_a_list_is_a_text():
    row = {"prompt": "[1, 2, 3]", "completion": '[{"a": 1}]'}
    layout = resolve_format("auto", list(row))
    assert layout.read(row).sample == Sample("[1, 2, 3]", "", '[{"a": 1}]')
    assert layout.write(Sample("a", "", "b"), [row, row]) == {"prompt": "a", "completion": "b"}


def test_the_system_prompt_of_two_columns_stays_in_its_column_or_its_turn():
    text = {"prompt": "Why?", "completion": "So.", "system_prompt": "S"}
    layout = resolve_format("auto", list(text))
    assert layout.read(text).sample.system == "S"
    assert layout.write(Sample("a", "", "b", "S"), [text, text]) == {
        "prompt": "a",
        "completion": "b",
        "system_prompt": "S",
    }
    asked = [{"role": "system", "content": "S"}, {"role": "user", "content": "Why?"}]
    chat = {"prompt": asked, "completion": "So."}
    layout = resolve_format("auto", list(chat))
    written = layout.write(Sample("a", "", "b", "S"), [chat, chat])
    assert written["prompt"] == [{"role": "system", "content": "S"}, {"role": "user", "content": "a"}]
