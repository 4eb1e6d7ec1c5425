"""Sample layouts: detection, reading odd rows, writing what comes in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.sample import Sample

MERGED = Sample("Do both.", "the text", "Done.", system="Be brief.")

ROWS = {
    "alpaca": {"instruction": "Sum up.", "input": "A text.", "output": "Short.", "category": "x"},
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
        ("sharegpt", {"conversations": "text"}),
    ],
)
def test_odd_rows_are_never_merged_and_never_raise(name, change):
    row = ROWS[name] | change
    assert resolve_format(name, list(row)).read(row).problem == "bad_row"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("query_response", {"history": [["q", "a"]]}),
        ("messages", {"messages": ROWS["messages"]["messages"] * 2}),
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
        ("auto", ["instruction", "output", "messages"], "more than one sample format.*set sample_format"),
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


ODD = st.none() | st.integers() | st.text() | st.lists(st.none() | st.text() | st.dictionaries(st.text(), st.text()))


@pytest.mark.parametrize("name", ROWS)
@given(value=ODD)
def test_reading_never_raises(name, value):
    layout = resolve_format(name, list(ROWS[name]))
    for column in layout.columns:
        layout.read(ROWS[name] | {column: value})
