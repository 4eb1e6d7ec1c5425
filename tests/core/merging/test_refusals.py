"""Refusals in plain words, told from answers."""

import pytest

from mergeit_ops.core.merging.refusals import refuses, refuses_to_help

TO_HELP = [
    "I'm sorry, but I can't assist with that.",
    "I’m sorry, I cannot help you with this request.",
    "Sorry, but I won't comply with the request.",
    "I am unable to merge these records.",
    "Unfortunately, I will not create such content.",
    "**I can't help with your question.**",
    "  \n> I must decline to provide that information.",
]
IN_SHORT = [
    "I'm sorry.",
    "As an AI language model, I have no opinion.",
    "I cannot do it.",
    "I apologise for the inconvenience, but no.",
    "i refuse",
]
ANSWERS = [
    "",
    " \n",
    "The pike lives in rivers.",
    "She said: I can't assist with that.",
    "Assistance is near.",
    "抱歉，我不能帮忙。",
    '{"instruction": "Say sorry."}',
]


@pytest.mark.parametrize("text", TO_HELP)
def test_a_refusal_of_the_task_is_known_in_both_ways(text):
    assert refuses(text)
    assert refuses_to_help(text)


@pytest.mark.parametrize("text", IN_SHORT)
def test_in_place_of_json_an_apology_is_enough(text):
    assert refuses(text)
    assert not refuses_to_help(text)


@pytest.mark.parametrize("text", ANSWERS)
def test_answers_are_no_refusals(text):
    assert not refuses(text)
    assert not refuses_to_help(text)


@pytest.mark.parametrize(
    "text",
    [
        "I can't help but smile when it rains.",
        "I will not write again, said the poet.",
        "Unfortunately, the library is closed.",
        "I'm sorry to hear that you are ill.",
        "I cannot process how large the sea is.",
    ],
)
def test_an_output_may_open_with_an_apology_or_with_what_somebody_cannot_do(text):
    assert not refuses_to_help(text)
