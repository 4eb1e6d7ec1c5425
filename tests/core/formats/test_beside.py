"""Columns beside the texts that a chat template or a trainer reads."""

import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.formats.beside import columns_beside, is_trace, only_beside, problem_beside, shared_beside
from tests.core.formats.toys import CHAT

ROWS = (
    {"instruction": "a", "input": "", "output": "b"},
    {"query": "a", "response": "b"},
    {"messages": CHAT},
    {"conversations": CHAT},
    {"prompt": "a", "completion": "b"},
)


@pytest.mark.parametrize(
    ("beside", "problem"),
    [
        ({"tools": '[{"name": "f"}]'}, "more_than_text"),
        ({"functions": [{"name": "f"}]}, "more_than_text"),
        ({"function_calls": "f()"}, "more_than_text"),
        ({"image": "a.png"}, "more_than_text"),
        ({"documents": [{"text": "x"}]}, "more_than_text"),
        ({"chosen": "x", "rejected": "y"}, "more_than_text"),
        ({"chat_template_kwargs": {"xml_tools": ["f"]}}, "more_than_text"),
        ({"chat_template_kwargs": '{"python_tools": ["f"]}'}, "more_than_text"),
        ({"reasoning": "Hm."}, "reasoning"),
        ({"thinking": "Hm."}, "reasoning"),
        ({"reasoning_content": ["Hm."]}, "reasoning"),
        ({"deepseek_reasoning": "First I look at the basil, then at the water, then at both."}, "reasoning"),
        ({"thinking_trajectories": ["First I look at the basil, then at the water, then at both."]}, "reasoning"),
        ({"reasoning_type": "deductive", "cot_score": 0.5}, None),
        ({"thinkingProcess": "First I look at the basil, then at the water, then at both."}, "reasoning"),
        ({"available_tools": [{"name": "f"}]}, "more_than_text"),
        ({"tool_definitions": '[{"name": "f"}]'}, "more_than_text"),
        ({"apis": ["f"]}, "more_than_text"),
        ({"functionCall": "f()"}, "more_than_text"),
        ({"xml_tools": ["f"]}, "more_than_text"),
        ({"image_path": "a.png"}, "more_than_text"),
        ({"Images": ["a.png"]}, "more_than_text"),
        ({"audio_url": "a.mp3"}, "more_than_text"),
        ({"context_documents": [{"text": "x"}]}, "more_than_text"),
        ({"chat_template_args": {"tools": ["f"]}}, "more_than_text"),
        ({"has_image": False, "num_tools": 0, "tool": "f", "enable_thinking": True}, None),
        ({"tools": "[]", "images": [], "functions": None, "reasoning": "", "chat_template_kwargs": {}}, None),
        ({"reasoning": "off"}, None),
        ({"reasoning": True}, None),
        ({"license": "mit", "language": "en"}, None),
        ({"chat_template_kwargs": {"enable_thinking": False, "xml_tools": []}}, None),
    ],
)
def test_columns_that_a_template_reads_keep_a_row_from_being_merged_in_every_layout(beside, problem):
    for row in ROWS:
        layout = resolve_format("auto", list(row))
        reading = resolve_format(layout.name, [*row, *beside]).read(row | beside)
        assert reading.problem == problem, layout.name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"chat_template_kwargs": {"enable_thinking": True}}, {"chat_template_kwargs": {"enable_thinking": False}}),
        ({"chat_template_kwargs": {"enable_thinking": True}}, {"chat_template_kwargs": None}),
        ({"reasoning": "on"}, {"reasoning": "off"}),
        ({"enable_thinking": True}, {"enable_thinking": False}),
        ({"chat_template_args": {"x": 1}}, {"chat_template_args": {"x": 2}}),
        ({"reasoning_type": "deductive"}, {"reasoning_type": "inductive"}),
        ({"system": "", "system_prompt": "A"}, {"system": "", "system_prompt": "B"}),
        ({"system": "", "system_message": "A"}, {"system": "", "system_message": None}),
        ({"label": True}, {"label": False}),
    ],
)
def test_rows_that_are_read_in_different_ways_have_different_contexts(one, other):
    for row in ROWS:
        layout = resolve_format("auto", [*row, *one])
        assert layout.read(row | one).context != layout.read(row | other).context
        assert layout.read(row | one).context == layout.read(row | dict(one)).context


def test_what_the_columns_of_the_layout_are_called_does_not_matter():
    keys = {"instruction_key": "image_question", "query_key": "documents", "response_key": "final_thought"}
    row = {"image_question": "What is it?", "documents": "[a]", "final_thought": "It is " + "long " * 20}
    reading = resolve_format("auto", list(row), **keys).read(row)
    assert reading.problem is None
    assert reading.context == ""


def test_only_columns_that_say_something_are_looked_at():
    columns = ["instruction", "tools", "system", "label", "chat_template_kwargs", "image", "cot", "category", ""]
    assert columns_beside(columns) == ("tools", "system", "label", "chat_template_kwargs", "image", "cot")


def test_columns_of_the_layout_and_missing_ones_are_not_beside_it():
    row = {"image": "a.png", "tools": None, "x": 1}
    assert only_beside(row, ("image", "tools", "documents"), own=("image",)) == {"tools": None}


@pytest.mark.parametrize("nothing", [None, "", [], float("nan"), [None]])
def test_empty_columns_neither_forbid_a_merge_nor_have_to_agree(nothing):
    row = dict.fromkeys(("tools", "image", "reasoning", "system_prompt", "label"), nothing)
    assert problem_beside(row) is None
    assert shared_beside(row) == {}


def test_a_label_has_to_agree_only_if_it_is_a_flag():
    assert shared_beside({"label": True}) == {"label": True}
    assert shared_beside({"label": "geography"}) == shared_beside({"label": 3}) == {}


@pytest.mark.parametrize(
    ("name", "value", "trace"),
    [
        ("reasoning", "Hm.", True),
        ("reasoning", "ON", False),
        ("reasoning_type", "deductive", False),
        ("reasoning_type", "x" * 41, True),
        ("cot", True, False),
        ("cot", 0.5, False),
        ("cot", ["Hm."], True),
    ],
)
def test_a_switch_or_a_label_is_no_trace(name, value, trace):
    assert is_trace(name, value) is trace
