"""The sentences of a stage that has to stop."""

import pytest

from mergeit_ops.llm.advice import (
    about_the_journal,
    asked_to_wait,
    no_answer_after_reasoning,
    other_model,
    refused_parameter,
    too_many_failures,
    unavailable,
    without_parameter,
)
from mergeit_ops.llm.failures import CallFailedError, FailureKind

IDENTITY = {"base_url": "http://me:hun-ter2@host/v1?key=hun-ter2", "endpoint": "/chat/completions", "model": "m-7b"}


@pytest.mark.parametrize("kind", FailureKind)
@pytest.mark.parametrize("identity", [IDENTITY, {}])
def test_every_failure_gets_one_sentence_that_names_the_place_and_no_secret(kind, identity):
    said = unavailable(CallFailedError(kind, "the detail", status=400), identity)
    assert said.endswith(".")
    assert "the detail" in said
    assert "hun-ter2" not in said
    assert ("host/v1" in said) == bool(identity)


def test_models_with_a_name_like_the_one_asked_for_come_first():
    models = (*(f"other-{number}" for number in range(12)), "m-7b-chat")
    said = unavailable(CallFailedError(FailureKind.NOT_FOUND, "x", models=models), IDENTITY)
    assert "the models there are 'm-7b-chat', " in said
    assert "and 5 more" in said
    one = unavailable(CallFailedError(FailureKind.NOT_FOUND, "x", models=("a",)), IDENTITY)
    assert one.endswith("the models there are 'a'.")
    there = unavailable(CallFailedError(FailureKind.NOT_FOUND, "x", models=("m-7b",)), IDENTITY)
    assert "the models there" not in there


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        ((0, 0, 0), {"journal": True}, ""),
        ((5, 5, 0), {"journal": False}, "cache_path is null"),
        ((1, 1, 0), {"journal": True}, "1 answer is in the journal"),
        ((5, 5, 0), {"journal": True}, "5 answers are in the journal"),
        ((5, 0, 5), {"journal": True}, "No answers are in the journal (cache_path), and 5 could not be written"),
        ((5, 5, 0), {"journal": True, "at_least": True}, "At least 5 answers are"),
        ((5, 0, 0), {"journal": True, "at_least": True}, "No answers are"),
    ],
)
def test_where_the_answers_are(arguments, options, said):
    found = about_the_journal(*arguments, **options)
    assert found.startswith(said)
    assert bool(found) == bool(said)


@pytest.mark.parametrize(("seconds", "words"), [(90.4, "90 seconds"), (None, "0 seconds"), (1e9, "longer than a day")])
def test_how_long_a_server_asks_to_wait(seconds, words):
    failure = CallFailedError(FailureKind.RATE_LIMITED, "slow", retry_after=seconds)
    assert f"asks to wait {words}" in asked_to_wait(failure, IDENTITY)


def test_the_commonest_reason_with_an_error_gives_its_error():
    said = too_many_failures(9, 10, {"a": 5, "b": 3, "c": 1}, 0.5, {"b": "broken", "c": "closed"})
    assert said == (
        "9 of 10 requests to the LLM failed (a: 5, b: 3, c: 1, last error: broken), more than max_failure_ratio=0.5 "
        "allows."
    )
    assert "last error" not in too_many_failures(9, 10, {"a": 9}, 0.5, {})


def test_parameters_models_and_reasoning_are_named():
    failure = CallFailedError(FailureKind.BAD_REQUEST, "no", field="temperature")
    assert "'temperature' for model 'm-7b'" in refused_parameter(failure, IDENTITY)
    assert "temperature=0.7" in without_parameter(failure, 0.7, IDENTITY)
    assert "'m-7b' but says that 'other' answered" in other_model("other", IDENTITY)
    assert "raise max_tokens" in no_answer_after_reasoning("9 characters of reasoning")
