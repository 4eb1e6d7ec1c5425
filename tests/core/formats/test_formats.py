"""Sample layouts: detection, reading odd rows, writing what comes in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.sample import Round, Sample
from tests.core.formats.toys import MERGED, PARTS, ROWS, read, turns


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


IMAGE = {"type": "image_url", "image_url": {"url": "http://x/y.png"}}


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


def test_columns_of_system_prompt_and_history_may_have_other_names():
    keys = {"instruction_key": "question", "response_key": "answer", "system_key": "prompt", "history_key": "before"}
    row = {"prompt": "S", "question": "Why?", "answer": "So.", "before": []}
    layout = resolve_format("auto", list(row), **keys)
    assert layout.read(row).sample == Sample("Why?", "", "So.", "S")
    assert layout.read(row | {"before": [["a", "b"]]}).problem == "multi_turn"
    chat = {"messages": turns(("user", "a"), ("assistant", "b")), "prompt": "S"}
    assert resolve_format("auto", list(chat), system_key="prompt").read(chat).sample.system == "S"


ODD = st.none() | st.integers() | st.text() | st.lists(st.none() | st.text() | st.dictionaries(st.text(), st.text()))


@pytest.mark.parametrize("name", ROWS)
@given(value=ODD)
def test_reading_never_raises(name, value):
    layout = resolve_format(name, list(ROWS[name]))
    for column in layout.columns:
        layout.read(ROWS[name] | {column: value})
