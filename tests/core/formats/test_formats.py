"""Sample layouts: detection, reading odd rows, writing what comes in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.sample import Round, Sample

MERGED = Sample("Do both.", "the text", "Done.", system="Be brief.")

ROWS = {
    "alpaca": {
        "instruction": "Sum up.",
        "input": "A text.",
        "output": "Short.",
        "category": "x",
        "system": "S",
        "history": [],
    },
    "query_response": {
        "system": "S",
        "instruction": "Sum up.",
        "query": "A text.",
        "response": "Short.",
        "history": [],
    },
    "messages": {
        "messages": [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "Sum up."},
            {"role": "assistant", "content": "Short."},
        ]
    },
    "sharegpt": {"conversations": [{"from": "human", "value": "Sum up."}, {"from": "gpt", "value": "Short."}]},
    "prompt_completion": {"prompt": "Sum up.", "completion": "Short."},
}


@pytest.mark.parametrize("name", ROWS)
def test_auto_tells_the_layout_from_the_columns(name):
    assert resolve_format("auto", list(ROWS[name])).name == name


@pytest.mark.parametrize("name", ROWS)
def test_what_is_written_is_read_back(name):
    layout = resolve_format(name, list(ROWS[name]))
    written = layout.write(MERGED, [ROWS[name], ROWS[name]])
    assert set(written) <= set(ROWS[name])
    reading = layout.read(ROWS[name] | written)
    assert reading.problem is None
    assert reading.sample.output == MERGED.output
    assert "Do both." in reading.sample.query
    assert "the text" in reading.sample.query


def test_alpaca_reads_its_three_columns_under_other_names():
    layout = resolve_format("auto", ["q", "ctx", "a"], instruction_key="q", query_key="ctx", response_key="a")
    reading = layout.read({"q": "Why?", "ctx": "Because", "a": "So."})
    assert reading.sample == Sample("Why?", "Because", "So.")


def test_alpaca_without_an_input_column_keeps_the_material_in_the_instruction():
    layout = resolve_format("auto", ["instruction", "output"])
    written = layout.write(MERGED, [{"instruction": "a", "output": "b"}])
    assert written == {"instruction": "Do both.\n\nthe text", "output": "Done."}


def test_query_is_the_instruction_where_there_is_no_other():
    layout = resolve_format("auto", ["query", "response"])
    assert layout.read({"query": "Why?", "response": "So."}).sample == Sample("Why?", "", "So.")
    assert layout.write(MERGED, [{"query": "a", "response": "b"}])["query"] == "Do both.\n\nthe text"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("alpaca", {"instruction": None}),
        ("alpaca", {"output": "  \n"}),
        ("alpaca", {"output": 7}),
        ("alpaca", {"input": ["x"]}),
        ("query_response", {"response": None}),
        ("messages", {"messages": None}),
        ("messages", {"messages": [None]}),
        ("messages", {"messages": [{"role": "user", "content": None}]}),
        ("messages", {"messages": [{"role": "tool", "content": "x"}]}),
        ("messages", {"messages": ROWS["messages"]["messages"][:-1]}),
        ("messages", {"messages": ROWS["messages"]["messages"][::-1]}),
        ("messages", {"messages": [*ROWS["messages"]["messages"], {"role": "narrator", "content": "x"}]}),
        ("messages", {"messages": [*ROWS["messages"]["messages"][:-1], {"role": "assistant", "content": 0}]}),
        ("sharegpt", {"conversations": "text"}),
    ],
)
def test_odd_rows_are_never_merged_and_never_raise(name, change):
    row = ROWS[name] | change
    assert resolve_format(name, list(row)).read(row).problem == "bad_row"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("alpaca", {"history": [["q", "a"]]}),
        ("query_response", {"history": [["q", "a"]]}),
        ("messages", {"messages": ROWS["messages"]["messages"] * 2}),
        ("messages", {"messages": [*ROWS["messages"]["messages"], {"role": "user", "content": "And?"}]}),
        ("sharegpt", {"conversations": ROWS["sharegpt"]["conversations"] * 2}),
    ],
)
def test_conversations_of_several_turns_are_told_apart(name, change):
    row = ROWS[name] | change
    assert resolve_format(name, list(row)).read(row).problem == "multi_turn"


def test_a_missing_input_is_an_empty_one():
    layout = resolve_format("auto", ["instruction", "input", "output"])
    assert layout.read({"instruction": "a", "input": None, "output": "b"}).problem is None


@pytest.mark.parametrize(
    ("name", "columns", "complaint"),
    [
        ("auto", ["text"], "no sample format fits; the dataset has the columns 'text'"),
        (
            "auto",
            ["instruction", "output", "messages"],
            r"more than one sample format: 'alpaca' \(instruction, output\) and 'messages' \(messages\); "
            "set sample_format to one of them",
        ),
        (
            "alpaca",
            ["instruction", "text"],
            "column 'output' of sample format 'alpaca' is missing.*'instruction', 'text'",
        ),
        ("messages", [], "the dataset has: none"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(name, columns, complaint):
    with pytest.raises(ValueError, match=complaint):
        resolve_format(name, columns)


def turns(*said, role="role", text="content"):
    return [{role: who, text: what} for who, what in said]


def read(name, row):
    return resolve_format(name, list(row)).read(row)


def test_all_questions_and_all_answers_of_a_long_conversation_are_read():
    chat = turns(("system", "S"), ("user", "One?"), ("assistant", "1"), ("user", "Two?"), ("assistant", "2"))
    assert read("messages", {"messages": chat}).sample == Sample(
        "One?\nTwo?", "", "1\n2", "S", (Round("One?", "1"), Round("Two?", "2"))
    )
    row = {"instruction": "Two?", "input": "x", "output": "2", "system": "S", "history": [["One?", "1"]]}
    rounds = (Round("One?", "1"), Round("Two?\n\nx", "2"))
    assert read("alpaca", row).sample == Sample("One?\nTwo?", "x", "1\n2", "S", rounds)
    row = {"query": "Two?", "response": "2", "history": [["One?", "1"]]}
    rounds = (Round("One?", "1"), Round("Two?", "2"))
    assert read("query_response", row).sample == Sample("One?\nTwo?", "", "1\n2", rounds=rounds)


@pytest.mark.parametrize("history", [None, [], [["", ""]], [[]], ""])
def test_a_history_of_nothing_is_none(history):
    assert read("alpaca", ROWS["alpaca"] | {"history": history}).problem is None


@pytest.mark.parametrize(
    ("user", "assistant"),
    [("human", "gpt"), ("user", "assistant"), ("user", "chatgpt"), ("human", "bing"), ("User", "Assistant")],
)
@pytest.mark.parametrize(("role", "text"), [("from", "value"), ("role", "content")])
@pytest.mark.parametrize(("name", "column"), [("messages", "messages"), ("sharegpt", "conversations")])
def test_speakers_and_fields_are_spelled_as_the_parents_do(name, column, role, text, user, assistant):
    rows = [{column: turns((user, f"{n}?"), (assistant, f"{n}"), role=role, text=text)} for n in (1, 2)]
    assert read(name, rows[0]).sample == Sample("1?", "", "1")
    assert read(name, rows[0]).problem is None
    written = resolve_format("auto", [column]).write(Sample("Both?", "", "1, 2"), rows)
    assert written == {column: turns((user, "Both?"), (assistant, "1, 2"), role=role, text=text)}


def test_fields_of_both_kinds_side_by_side_are_read_turn_by_turn():
    """What a table makes of rows that name their fields differently."""
    nothing = dict.fromkeys(("role", "content", "from", "value"))
    chat = [nothing | turn for turn in turns(("human", "Why?"), ("gpt", "So."), role="from", text="value")]
    row = {"messages": chat}
    assert read("messages", row).sample == Sample("Why?", "", "So.")
    assert read("messages", row).problem is None
    (asked, _) = resolve_format("messages", ["messages"]).write(Sample("a", "", "b"), [row, row])["messages"]
    assert asked == nothing | {"from": "human", "value": "a"}


PARTS = [{"type": "text", "text": "Why"}, {"type": "text", "text": "not?"}]
IMAGE = {"type": "image_url", "image_url": {"url": "http://x/y.png"}}


def test_parts_of_text_are_read_as_text_and_written_as_one_part():
    row = {"messages": turns(("user", PARTS), ("assistant", "So."))}
    assert read("messages", row).sample == Sample("Why\nnot?", "", "So.")
    assert read("messages", row).problem is None
    written = resolve_format("messages", ["messages"]).write(Sample("a", "b", "c"), [row, row])
    assert written["messages"] == turns(("user", [{"type": "text", "text": "a\n\nb"}]), ("assistant", "c"))


CALL = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("messages", {"messages": turns(("user", [*PARTS, IMAGE]), ("assistant", "So."))}),
        ("messages", {"messages": turns(("user", [IMAGE]), ("assistant", "So."))}),
        ("messages", {"messages": [*turns(("user", "Why?")), {"role": "assistant", "tool_calls": CALL}]}),
        ("messages", {"messages": turns(("user", "Why?"), ("assistant", "So."), ("tool", "42"))}),
        (
            "sharegpt",
            {
                "conversations": turns(
                    *(("human", "Why?"), ("function_call", "{}"), ("observation", "1"), ("gpt", "So.")),
                    role="from",
                    text="value",
                )
            },
        ),
        ("sharegpt", ROWS["sharegpt"] | {"tools": '[{"name": "f"}]'}),
        ("alpaca", ROWS["alpaca"] | {"images": ["a.png"]}),
        ("query_response", ROWS["query_response"] | {"videos": ["a.mp4"]}),
    ],
)
def test_what_a_merge_of_texts_would_lose_keeps_a_row_from_being_merged(name, row):
    assert read(name, row).problem == "more_than_text"


@pytest.mark.parametrize("nothing", [None, [], {}, "", "[]", {"name": None, "arguments": None}])
def test_tools_and_media_that_are_not_there_do_no_harm(nothing):
    chat = [turn | {"tool_calls": nothing, "name": None} for turn in ROWS["messages"]["messages"]]
    assert read("messages", {"messages": chat, "tools": nothing, "images": nothing}).problem is None
    assert read("alpaca", ROWS["alpaca"] | {"tools": nothing, "images": nothing}).problem is None


def test_notes_about_a_turn_stay_where_all_parents_agree():
    rows = [
        {"messages": [turn | {"weight": 1, "name": name} for turn in turns(("user", "a"), ("assistant", "b"))]}
        for name in ("Ann", "Bob")
    ]
    assert read("messages", rows[0]).problem is None
    written = resolve_format("messages", ["messages"]).write(Sample("c", "", "d"), rows)
    notes = {"weight": 1, "name": None}
    assert written["messages"] == [turn | notes for turn in turns(("user", "c"), ("assistant", "d"))]


@pytest.mark.parametrize("column", ["messages", "conversations"])
def test_a_system_prompt_stays_where_the_parents_have_it(column):
    plain = turns(("user", "a"), ("assistant", "b"))
    merged = turns(("user", "c"), ("assistant", "d"))
    layout = resolve_format("auto", [column])
    sample = Sample("c", "", "d", system="S")
    in_column = {column: plain, "system": " S\n"}
    assert layout.read(in_column).sample.system == "S"
    assert layout.write(sample, [in_column, in_column]) == {column: merged, "system": " S\n"}
    for role in ("system", "developer"):
        in_turn = {column: [*turns((role, "S")), *plain], "system": None}
        assert layout.read(in_turn).sample.system == "S"
        assert layout.write(sample, [in_turn, in_turn]) == {column: [*turns((role, "S")), *merged]}
    assert layout.write(Sample("c", "", "d"), [{column: plain, "system": None}] * 2) == {column: merged}


@pytest.mark.parametrize("name", ["alpaca", "query_response"])
@pytest.mark.parametrize(("system", "text"), [("S ", "S"), ("", ""), (None, "")])
def test_the_column_of_the_system_prompt_keeps_the_parents_value(name, system, text):
    row = ROWS[name] | {"system": system, "history": None}
    layout = resolve_format(name, list(row))
    assert layout.read(row).sample.system == text
    written = layout.write(Sample("c", "", "d", system=text), [row, row])
    assert (written["system"], written["history"]) == (system, None)


def test_columns_of_system_prompt_and_history_may_have_other_names():
    keys = {"instruction_key": "question", "response_key": "answer", "system_key": "prompt", "history_key": "before"}
    row = {"prompt": "S", "question": "Why?", "answer": "So.", "before": []}
    layout = resolve_format("auto", list(row), **keys)
    assert layout.read(row).sample == Sample("Why?", "", "So.", "S")
    assert layout.read(row | {"before": [["a", "b"]]}).problem == "multi_turn"
    chat = {"messages": turns(("user", "a"), ("assistant", "b")), "prompt": "S"}
    assert resolve_format("auto", list(chat), system_key="prompt").read(chat).sample.system == "S"


def test_a_column_of_nulls_for_the_query_is_left_alone():
    row = {"instruction": "Why?", "query": None, "response": "So."}
    written = resolve_format("query_response", list(row)).write(MERGED, [row, row])
    assert written == {"instruction": "Do both.\n\nthe text", "response": "Done."}


ODD = st.none() | st.integers() | st.text() | st.lists(st.none() | st.text() | st.dictionaries(st.text(), st.text()))


@pytest.mark.parametrize("name", ROWS)
@given(value=ODD)
def test_reading_never_raises(name, value):
    layout = resolve_format(name, list(ROWS[name]))
    for column in layout.columns:
        layout.read(ROWS[name] | {column: value})
