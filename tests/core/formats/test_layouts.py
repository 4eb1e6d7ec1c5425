"""The layouts of instruction data met today, two rows of each: how they are read, and whether they may be merged."""

import json
import re
from pathlib import Path

import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.sample import Round, Sample

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


@pytest.mark.parametrize(
    ("columns", "keys"),
    [
        (["question", "answer"], ("question", "answer")),
        (["id", "user_query", "model_response", "lang"], ("user_query", "model_response")),
        (["inputs", "targets"], ("inputs", "targets")),
        (["Question", "Answer"], ("Question", "Answer")),
        (["problem", "solution", "answer"], ("problem", "answer")),
        (["userPrompt", "assistantReply"], ("userPrompt", "assistantReply")),
        (["human", "assistant"], ("human", "assistant")),
        (["instruction", "response"], ("instruction", "response")),
    ],
)
def test_the_refusal_finds_the_columns_of_question_and_answer(columns, keys):
    with pytest.raises(ValueError, match=f"instruction_key: {keys[0]} and response_key: {keys[1]} in every operator"):
        resolve_format("auto", columns)


def test_the_refusal_names_the_column_of_the_material_too():
    with pytest.raises(ValueError, match="instruction_key: instruction, query_key: context and response_key: response"):
        resolve_format("auto", ["instruction", "context", "response", "category"])


@pytest.mark.parametrize("column", ["dialogue", "chat", "turns"])
def test_the_refusal_tells_how_turns_in_another_column_are_read(column):
    with pytest.raises(ValueError, match=f"If '{column}' holds a list of turns, rename the column to messages"):
        resolve_format("auto", ["id", column])


@pytest.mark.parametrize("column", ["messages", "conversations"])
def test_a_system_turn_and_a_column_are_both_in_the_context(column):
    turns = [{"role": "system", "content": "T"}, *CHAT]
    layout = resolve_format("auto", [column, "system"])
    contexts = [layout.read({column: turns, "system": text}).context for text in ("C0", "C1", None)]
    assert len(set(contexts)) == 3


@pytest.mark.parametrize("text", ["<image>\nWhat is this?", "<image_1> or <image_2>?", "<|vision_start|><|image_pad|>"])
def test_the_place_of_an_image_in_a_text_keeps_a_row_from_being_merged(text):
    for row in ({"instruction": text, "output": "b"}, {"prompt": text, "completion": "b"}):
        assert resolve_format("auto", list(row)).read(row).problem == "more_than_text"


def test_turns_as_text_whose_speaker_nobody_knows_are_no_text():
    asked = json.dumps([{"role": "x", "content": "Why?"}])
    reading = resolve_format("auto", ["prompt", "completion"]).read({"prompt": asked, "completion": "So."})
    assert reading.problem == "bad_row"
    assert not reading.is_readable


@pytest.mark.parametrize("columns", [["text"], ["id", "body"], []])
def test_the_refusal_says_what_to_set_where_no_column_looks_like_it(columns):
    with pytest.raises(ValueError, match="Set instruction_key and response_key to the columns"):
        resolve_format("auto", columns)


@pytest.mark.parametrize(
    "columns",
    [
        ["prompt", "chosen", "rejected"],
        ["chosen", "rejected"],
        ["instruction", "input", "chosen", "rejected"],
        ["question", "chosen_response", "rejected_response"],
        ["prompt", "preferredAnswer", "dispreferredAnswer"],
        ["prompt", "response_a", "response_b", "winner"],
        ["prompt", "output_1", "output_2", "preference"],
        ["question", "answer_A", "answer_B"],
        ["prompt", "response_j", "response_k"],
        ["prompt", "y_w", "y_l"],
        ["query", "positive", "negative"],
        ["history", "human_ref_A", "human_ref_B", "labels"],
        ["question", "good_answer", "bad_answer"],
    ],
)
def test_preference_pairs_are_called_what_they_are(columns):
    with pytest.raises(ValueError, match="These are preference pairs"):
        resolve_format("auto", columns)


CHAT = [{"role": "user", "content": "Wieso – “so”?"}, {"role": "assistant", "content": "Darum."}]
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


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        (["instruction", "input", "output"], "alpaca"),
        (["messages", "input", "output"], "messages"),
        (["query", "response", "input", "output"], "query_response"),
    ],
)
def test_input_and_output_do_not_stand_in_the_way_of_a_layout(columns, name):
    assert resolve_format("auto", columns).name == name


@pytest.mark.parametrize("columns", [["input", "output"], ["instructions", "input", "output"]])
def test_input_and_output_alone_are_taken_for_question_and_answer_only_if_you_say_so(columns):
    with pytest.raises(ValueError, match="no sample format fits"):
        resolve_format("auto", columns)
    assert resolve_format("prompt_completion", columns).required_columns == ("input", "output")


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


@pytest.mark.parametrize("field", ["weight", "train", "name", "loss_mask"])
def test_turns_that_are_trained_on_in_different_ways_have_different_contexts(field):
    layout = resolve_format("auto", ["messages"])
    contexts = [layout.read({"messages": [CHAT[0], CHAT[1] | {field: value}]}).context for value in (0, 1, None)]
    assert len(set(contexts)) == 3
    assert layout.read({"messages": CHAT}).context == contexts[2] == ""


def test_what_the_columns_of_the_layout_are_called_does_not_matter():
    keys = {"instruction_key": "image_question", "query_key": "documents", "response_key": "final_thought"}
    row = {"image_question": "What is it?", "documents": "[a]", "final_thought": "It is " + "long " * 20}
    reading = resolve_format("auto", list(row), **keys).read(row)
    assert reading.problem is None
    assert reading.context == ""
