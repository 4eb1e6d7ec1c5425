"""The history of a row: pairs, or turns with their speakers, as values or as text."""

import json

import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.formats.exchanges import TurnContent
from mergeit_ops.core.formats.history import History, read_history

ROW = {"instruction": "q2", "input": "", "output": "a2"}
LAYOUT = resolve_format("alpaca", [*ROW, "history"])
USER, ASSISTANT = {"role": "user", "content": "q1"}, {"role": "assistant", "content": "a1"}
TURNS = [USER, ASSISTANT]


@pytest.mark.parametrize(
    "history",
    [
        [["q1", "a1"]],
        (("q1", "a1"),),
        TURNS,
        [TURNS],
        [{"from": "human", "value": "q1"}, {"from": "gpt", "value": "a1"}],
        [["q1", "a1"], ["", ""], None, []],
        *(json.dumps(value) for value in ([["q1", "a1"]], TURNS, [TURNS])),
        [json.dumps(["q1", "a1"])],
        [json.dumps(turn) for turn in TURNS],
        repr([["q1", "a1"]]),
    ],
)
def test_every_turn_is_said_by_its_speaker(history):
    reading = LAYOUT.read(ROW | {"history": history})
    assert (reading.sample.instruction, reading.sample.output) == ("q1\nq2", "a1\na2")
    assert reading.sample.rounds == (("q1", "a1"), ("q2", "a2"))
    assert reading.problem == "multi_turn"


@pytest.mark.parametrize(
    ("history", "asked"),
    [
        ("User: q1", ["User: q1"]),
        (["q1", "a1"], ["q1", "a1"]),
        ([["q1", "a1", "q3", "a3"]], ["q1", "q3", "a3"]),
        ([{"role": "narrator", "content": "So it was."}], ["So it was."]),
        ([{"role": "system", "content": "Be kind."}, *TURNS], ["q1"]),
        ([["q1", 7]], ["q1"]),
        ('[["q1", "a \\ud83d"]]', ["q1"]),
    ],
)
def test_a_row_with_a_history_of_unclear_speakers_is_not_merged_and_keeps_its_words(history, asked):
    assert LAYOUT.read(ROW | {"history": history}).problem == "bad_row"
    assert read_history(history).texts(by_assistant=False) == asked


def test_a_history_of_more_than_text_says_so():
    thinking = ASSISTANT | {"reasoning_content": "Hm."}
    reading = LAYOUT.read(ROW | {"history": [USER, thinking]})
    assert reading.problem == "reasoning"
    assert [(each.trace, each.answer) for each in reading.sample.exchanges] == [("Hm.", "a1"), (None, "a2")]
    for turn in ({"role": "tool", "content": "7"}, ASSISTANT | {"tool_calls": [{"name": "f"}]}):
        assert LAYOUT.read(ROW | {"history": [USER, turn]}).problem == "more_than_text"


@pytest.mark.parametrize("value", [None, "", "[]", [], [[]], [["", ""]], [None], float("nan")])
def test_an_empty_history_is_none(value):
    assert read_history(value) == History()


def test_a_pair_is_a_question_and_an_answer():
    assert read_history([["q", "a"]]) == History((TurnContent("q", False), TurnContent("a", True)))
