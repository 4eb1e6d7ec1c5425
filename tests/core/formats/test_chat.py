"""Layouts with one column of turns."""

import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.sample import Sample
from tests.core.formats.toys import CHAT, PARTS, read, turns


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


def test_parts_of_text_are_read_as_text_and_written_as_one_part():
    row = {"messages": turns(("user", PARTS), ("assistant", "So."))}
    assert read("messages", row).sample == Sample("Why\nnot?", "", "So.")
    assert read("messages", row).problem is None
    written = resolve_format("messages", ["messages"]).write(Sample("a", "b", "c"), [row, row])
    assert written["messages"] == turns(("user", [{"type": "text", "text": "a\n\nb"}]), ("assistant", "c"))


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


@pytest.mark.parametrize("column", ["messages", "conversations"])
def test_a_system_turn_and_a_column_are_both_in_the_context(column):
    turns = [{"role": "system", "content": "T"}, *CHAT]
    layout = resolve_format("auto", [column, "system"])
    contexts = [layout.read({column: turns, "system": text}).context for text in ("C0", "C1", None)]
    assert len(set(contexts)) == 3
