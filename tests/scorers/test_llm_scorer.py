"""What scorers that ask the LLM engine have in common."""

from __future__ import annotations

import pytest

from mergeit_ops.core.merging.replies import FailureReason, ReplyError
from mergeit_ops.core.sample import Sample
from mergeit_ops.llm.backend import Completion
from mergeit_ops.scorers.llm_scorer import LLMScorer
from tests.llm.conftest import scripted_engine, text_request


def number(text: str) -> float:
    """Read an answer."""
    if not text.isdigit():
        raise ReplyError(FailureReason.UNPARSABLE)
    return float(text)


class Lengths(LLMScorer):
    """Asks for a number about each output."""

    def request(self, sample):
        return text_request("unused", sample.output, parse=number)

    def value(self, answers):
        return sum(answers) / len(answers)


@pytest.fixture
def asked():
    return []


@pytest.fixture
def scorer(asked, tmp_path):
    async def complete(messages, params, schema):
        text = messages[0]["content"].removeprefix("unused: ")
        asked.append(text)
        return Completion("no number" if text == "odd" else str(len(text)))

    return Lengths(scripted_engine(complete, cache_path=None, try_num=1, max_failure_ratio=1.0))


def rows(*outputs):
    return [Sample("question", "", output) for output in outputs]


def test_each_text_is_asked_about_once_in_the_life_of_a_scorer(scorer, asked):
    assert [score.value for score in scorer.score(rows("a", "bbb", "a"))] == [1, 3, 1]
    assert [score.value for score in scorer.score(rows("bbb", "cc"))] == [3, 2]
    assert sorted(asked) == ["a", "bbb", "cc"]


def test_rows_that_say_nothing_are_not_asked_about(scorer, asked):
    found = scorer.score([Sample("q", "", " "), Sample(" ", "", "a"), Sample("", "b", "a")])
    assert [score.status for score in found] == ["empty_response", "empty_instruction", "ok"]
    assert asked == ["a"]
    assert scorer.score([]) == []


def test_an_answer_that_is_none_is_a_missing_score_and_not_asked_for_again(scorer, asked):
    (found,) = scorer.score(rows("odd"))
    assert (found.value, found.status) == (None, "unparsable")
    scorer.score(rows("odd"))
    assert asked == ["odd"]
    assert scorer.figures()["failed"] == {"unparsable": 1}


def test_figures_are_those_of_the_engine_and_empty_without_a_request(scorer):
    assert scorer.figures() == {}
    scorer.finish()
    scorer.score(rows("a", "bb"))
    figures = scorer.figures()
    assert (figures["requests"], figures["calls"], figures["failed"]) == (2, 2, {})
    scorer.finish()
    assert list(scorer.engines()) == [scorer._engine]


def test_what_is_asked_and_how_is_the_identity(scorer):
    assert scorer.identity() == {
        "base_url": "http://scripted",
        "endpoint": "x",
        "model": "m",
        "sampling_params": {},
    }


def test_a_plan_counts_what_would_be_asked_and_asks_nothing(scorer, asked):
    plan = scorer.plan([*rows("a", "bbb", "a"), Sample("q", "", " ")])
    assert (plan["requests"], plan["calls"]) == (2, 2)
    assert plan["prompt_tokens"] > 0
    assert asked == []
