"""Conversations as rounds: which layouts give them, and what a tool, a blank answer or an open question is."""

import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.sample import Round, Sample


def read(row: dict) -> Sample:
    return resolve_format("auto", list(row)).read(row).sample


def chat(*said: tuple[str, str]) -> dict:
    return {"messages": [{"role": who, "content": text} for who, text in said]}


TWO = (Round("Who?", "I."), Round("Why?", "So."))


@pytest.mark.parametrize(
    "row",
    [
        chat(("system", "S"), ("user", "Who?"), ("assistant", "I."), ("user", "Why?"), ("assistant", "So.")),
        {
            "conversations": [
                {"from": "human", "value": "Who?"},
                {"from": "gpt", "value": "I."},
                {"from": "human", "value": "Why?"},
                {"from": "gpt", "value": "So."},
            ]
        },
        {"instruction": "Why?", "input": "", "output": "So.", "history": [["Who?", "I."]]},
        {"query": "Why?", "response": "So.", "history": [["Who?", "I."]]},
    ],
)
def test_every_layout_of_conversations_gives_the_rounds(row):
    assert read(row).rounds == TWO


def test_the_input_of_the_last_question_stands_in_it():
    row = {"instruction": "Why?", "input": "it", "output": "So.", "history": [["Who?", "I."]]}
    assert read(row).rounds[1] == Round("Why?\n\nit", "So.")


@pytest.mark.parametrize(
    "row",
    [
        chat(("system", "S"), ("user", "Who?"), ("assistant", "I.")),
        chat(("user", "Who?"), ("user", "And?"), ("assistant", "I.")),
        {"instruction": "Who?", "output": "I."},
        {"instruction": "Who?", "output": "I.", "history": [["", ""]]},
        chat(("user", "Who?")),
    ],
)
def test_one_question_and_one_answer_are_no_rounds(row):
    assert read(row).rounds == ()


def test_what_a_tool_says_is_asked_and_a_turn_without_text_answers_nothing():
    said = (("user", "Weather?"), ("assistant", ""), ("tool", "Rain."), ("assistant", "It rains."), ("user", "Thanks."))
    assert read(chat(*said)).rounds == (Round("Weather?\nRain.", "It rains."),)


def test_two_answers_in_a_row_are_two_rounds():
    said = (("user", "Who?"), ("assistant", "I."), ("assistant", "And you."))
    assert read(chat(*said)).rounds == (Round("Who?", "I."), Round("", "And you."))


def test_only_a_conversation_has_its_rounds_in_its_content():
    assert set(Sample("Who?", "", "I.").content) == {"instruction", "input", "output", "system"}
    assert Sample("Who?", "", "I.", rounds=TWO).content["rounds"] == [["Who?", "I."], ["Why?", "So."]]
