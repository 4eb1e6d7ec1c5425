"""The layouts of instruction data met today, two rows of each: how they are read, and whether they may be merged."""

import json
import re
from pathlib import Path

import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.sample import Sample

LAYOUTS = Path(__file__).parents[2] / "layouts"
QUESTIONS = (
    "How do I keep basil fresh after cutting it?",
    "What is the best way to store cut basil so it stays fresh?",
)

# File to the layout that it has and why its two rows may not be merged.
READ = {
    "alpaca_think": ("alpaca", ("reasoning", "reasoning")),
    "licences_differ": ("alpaca", (None, None)),
    "messages_channels": ("messages", ("reasoning", "reasoning")),
    "messages_function_calls_only": ("messages", ("more_than_text", "more_than_text")),
    "messages_functions": ("messages", ("more_than_text", "more_than_text")),
    "messages_json_text": ("messages", (None, None)),
    "messages_parts": ("messages", (None, None)),
    "messages_plain": ("messages", (None, None)),
    "messages_reasoning_content": ("messages", ("reasoning", "reasoning")),
    "messages_template_kwargs": ("messages", ("more_than_text", None)),
    "messages_think": ("messages", ("reasoning", "reasoning")),
    "messages_thinking_field": ("messages", ("reasoning", "reasoning")),
    "messages_tool_calls": ("messages", ("more_than_text", "more_than_text")),
    "prompt_completion_chat": ("prompt_completion", (None, None)),
    "prompt_completion_text": ("prompt_completion", (None, None)),
    "sharegpt_bracket_calls": ("sharegpt", ("more_than_text", "more_than_text")),
    "sharegpt_human_ai": ("sharegpt", (None, None)),
    "sharegpt_tool_call_text": ("sharegpt", ("more_than_text", "more_than_text")),
}
# File to why its two rows may not be merged, once the keys are set that the refusal names.
REFUSED = {
    "input_messages_output": (None, None),
    "input_messages_output_reasoning": ("reasoning", "reasoning"),
    "problem_solution": (None, None),
    "prompt_response": (None, None),
    "query_tools_answers": ("more_than_text", "more_than_text"),
}


def rows_of(name):
    return [json.loads(line) for line in (LAYOUTS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def columns_of(rows):
    return list(dict.fromkeys(column for row in rows for column in row))


def test_every_file_has_an_expectation():
    assert {path.stem for path in LAYOUTS.glob("*.jsonl")} == {*READ, *REFUSED, "preference"}


@pytest.mark.parametrize("name", READ)
def test_a_known_layout_is_read_and_merged_only_where_nothing_is_lost(name):
    rows = rows_of(name)
    layout = resolve_format("auto", columns_of(rows))
    readings = [layout.read(row) for row in rows]
    expected, problems = READ[name]
    assert layout.name == expected
    assert tuple(reading.problem for reading in readings) == problems
    assert all(question in reading.sample.query for question, reading in zip(QUESTIONS, readings, strict=True))


@pytest.mark.parametrize("name", [name for name, (_, problems) in READ.items() if problems == (None, None)])
def test_a_merge_is_written_in_the_form_of_its_parents_and_read_back(name):
    rows = rows_of(name)
    layout = resolve_format("auto", columns_of(rows))
    system = layout.read(rows[0]).sample.system
    written = layout.write(Sample("Both?", "", "Both.", system), rows)
    merged = rows[0] | written
    assert set(written) <= set(rows[0])
    assert layout.read(merged).sample == Sample("Both?", "", "Both.", system)
    assert layout.read(merged).problem is None
    for column in written:
        assert type(merged[column]) is type(rows[0][column])


@pytest.mark.parametrize("name", REFUSED)
def test_the_refusal_names_the_keys_that_make_the_file_readable(name):
    rows = rows_of(name)
    with pytest.raises(ValueError, match="Set instruction_key: ") as refusal:
        resolve_format("auto", columns_of(rows))
    keys = dict(re.findall(r"(instruction_key|query_key|response_key): (\w+)", str(refusal.value)))
    # The refusal says so for columns that hold a list of turns.
    assert "where one holds a list of turns, set sample_format: prompt_completion" in str(refusal.value)
    has_turns = isinstance(rows[0][keys["instruction_key"]], list)
    layout = resolve_format("prompt_completion" if has_turns else "auto", columns_of(rows), **keys)
    readings = [layout.read(row) for row in rows]
    assert tuple(reading.problem for reading in readings) == REFUSED[name]
    assert tuple(reading.sample.query for reading in readings) == QUESTIONS


@pytest.mark.parametrize("text", ["<image>\nWhat is this?", "<image_1> or <image_2>?", "<|vision_start|><|image_pad|>"])
def test_the_place_of_an_image_in_a_text_keeps_a_row_from_being_merged(text):
    for row in ({"instruction": text, "output": "b"}, {"prompt": text, "completion": "b"}):
        assert resolve_format("auto", list(row)).read(row).problem == "more_than_text"
