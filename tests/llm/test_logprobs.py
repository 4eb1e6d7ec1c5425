"""Log-probabilities over HTTP, through the same engine as everything else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mergeit_ops.core.scoring.digit_logprobs import parse_digit_logprobs
from mergeit_ops.errors import LLMUnavailableError, RecipeError, TooManyFailuresError
from mergeit_ops.llm.engine import LLMEngine, build_logprobs_engine
from mergeit_ops.llm.logprobs import first_logprobs
from mergeit_ops.llm.requests import LLMRequest
from mergeit_ops.llm.settings import LLMSettings
from tests.llm.conftest import FAST, answers_of
from tests.llm_server import FakeLLMServer, Reply, error, logprobs_reply

DIGITS = {str(digit): -float(digit) for digit in range(1, 7)}
VALUES = tuple(DIGITS.values())


def engine_for(server: FakeLLMServer, top_logprobs: int = 20, **parameters: Any) -> LLMEngine:
    params = {"base_url": server.base_url}
    settings = LLMSettings(api_or_hf_model="scorer", model_params=params, **parameters)
    engine = build_logprobs_engine(settings, top_logprobs)
    engine.policy = FAST
    return engine


def requests(count: int, first: int = 0) -> list[LLMRequest[Any]]:
    return [
        LLMRequest(tag, ({"role": "user", "content": f"prompt {tag}: "},), parse_digit_logprobs, completion_tokens=1)
        for tag in range(first, first + count)
    ]


def test_the_prompt_goes_out_as_it_is_and_one_token_is_asked_for():
    with FakeLLMServer(lambda body: logprobs_reply(DIGITS)) as server:
        outcomes, usage = answers_of(engine_for(server), requests(1))
        assert outcomes[0].answers == (VALUES,)
        assert server.paths == ["/v1/completions"]
        expected = {"model": "scorer", "prompt": "prompt 0: ", "max_tokens": 1, "temperature": 0, "logprobs": 20}
        assert server.requests == [expected]
        assert (usage.prompt_tokens, usage.completion_tokens) == (100, 1)


@pytest.mark.parametrize("shape", ["completions", "chat"])
def test_both_shapes_of_a_response_are_read(shape):
    payload = logprobs_reply(DIGITS | {"\n": -9.0}, shape=shape).payload
    assert first_logprobs(payload) == DIGITS | {"\n": -9.0}


def test_a_number_beyond_floats_is_no_logprob():
    listed = {"1": -(10**400), "2": -0.5}
    assert first_logprobs({"choices": [{"logprobs": {"top_logprobs": [listed]}}]}) == {"2": -0.5}


def test_of_a_token_listed_twice_the_larger_logprob_counts():
    listed = [{"token": "1", "logprob": -0.5}, {"token": "1", "logprob": -17.0}, {"token": "2", "logprob": None}]
    payload = {"choices": [{"logprobs": {"content": [{"top_logprobs": listed}]}}]}
    assert first_logprobs(payload) == {"1": -0.5}


@pytest.mark.parametrize(
    "logprobs", [None, "x", [], {"top_logprobs": None}, {"top_logprobs": []}, {"content": [{"top_logprobs": "x"}]}]
)
def test_odd_responses_hold_no_logprobs(logprobs):
    assert first_logprobs({"choices": [{"logprobs": logprobs}]}) == {}


def test_a_server_without_logprobs_stops_the_run_after_one_request():
    with FakeLLMServer(lambda body: logprobs_reply(None)) as server:
        with pytest.raises(
            LLMUnavailableError, match=r"without log-probabilities at endpoint 'completions'.*vLLM or llama\.cpp\.$"
        ):
            answers_of(engine_for(server), requests(100))
        assert len(server.requests) == 1


def test_a_response_without_logprobs_among_others_is_one_row_without_an_answer():
    def answer(body):
        return logprobs_reply(None if body["prompt"].startswith("prompt 5:") else DIGITS)

    with FakeLLMServer(answer) as server:
        outcomes, _ = answers_of(engine_for(server), requests(10))
    assert [str(outcome.error) for outcome in outcomes.values() if outcome.error] == ["no_logprobs"]


def test_a_server_that_has_given_some_is_trusted_in_later_runs_too():
    with FakeLLMServer(lambda body: logprobs_reply(DIGITS)) as server:
        engine = engine_for(server)
        answers_of(engine, requests(3))
        server.answer = lambda body: logprobs_reply(None if "prompt 3:" in body["prompt"] else DIGITS)
        outcomes, _ = answers_of(engine, requests(4, first=3))
    assert [str(outcome.error) for outcome in outcomes.values() if outcome.error] == ["no_logprobs"]


def test_missing_digits_are_not_asked_for_again():
    with FakeLLMServer(lambda body: logprobs_reply({"1": -0.1})) as server:
        outcomes, _ = answers_of(engine_for(server, max_failure_ratio=1), requests(3))
        assert {str(outcome.error) for outcome in outcomes.values()} == {"digits_missing"}
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (error(400, "this model's maximum context length is 2048 tokens"), "too_long"),
        (Reply(payload={"choices": []}), "no_choices"),
        (Reply(payload={"choices": [{"text": "", "finish_reason": "content_filter"}]}), "refused"),
    ],
)
def test_a_row_that_the_server_refuses_has_a_reason(reply, reason):
    def answer(body):
        return reply if body["prompt"].startswith("prompt 1:") else logprobs_reply(DIGITS)

    with FakeLLMServer(answer) as server:
        outcomes, _ = answers_of(engine_for(server), requests(3))
    assert str(outcomes[1].error) == reason
    assert all(outcomes[tag].answers == (VALUES,) for tag in (0, 2))


def test_a_second_run_pays_only_for_what_is_missing():
    with FakeLLMServer(lambda body: logprobs_reply(DIGITS)) as server:
        answers_of(engine_for(server), requests(5))
        _, usage = answers_of(engine_for(server), requests(8))
        assert (usage.cache_hits, usage.calls) == (5, 3)
        _, usage = answers_of(engine_for(server, top_logprobs=100), requests(1))
        assert usage.calls == 1


def test_the_budget_counts_one_token_an_answer():
    with FakeLLMServer(lambda body: logprobs_reply(DIGITS)) as server:
        outcomes, usage = answers_of(engine_for(server, max_total_tokens=1010, max_concurrency=1), requests(20))
        assert (usage.calls, usage.total_tokens) == (10, 1010)
        assert [str(outcome.error) for outcome in outcomes.values()].count("budget") == 10
        assert all(body["max_tokens"] == 1 for body in server.requests)


def test_without_a_usage_report_an_answer_counts_as_one_token():
    payload = logprobs_reply(DIGITS).payload
    del payload["usage"]
    with FakeLLMServer(lambda body: Reply(payload=payload)) as server:
        _, usage = answers_of(engine_for(server), requests(2))
    assert (usage.completion_tokens, usage.estimated_calls) == (2, 2)


def test_failures_of_a_small_run_are_judged_once_no_more_is_to_come():
    with FakeLLMServer(lambda body: logprobs_reply({"1": -0.1})) as server:
        engine = engine_for(server)
        for start in (0, 3):
            engine.run(requests(3, start), lambda outcome: None, more_to_come=True)
        with pytest.raises(TooManyFailuresError, match=r"6 of 6 requests to the LLM failed \(digits_missing: 6"):
            engine.run([], lambda outcome: None)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"api_or_hf_model": ""}, "api_or_hf_model"),
        ({"top_logprobs": 5}, "top_logprobs must be a whole number of at least 6, got 5"),
        ({"model_params": {"api_key": "hunter2"}}, "OPENAI_API_KEY"),
        ({"model_params": {"base_url": "localhost"}}, "http://"),
        ({"timeout_s": 0}, "timeout_s"),
    ],
)
def test_bad_values(parameters, words):
    settings = dict(parameters)
    top_logprobs = settings.pop("top_logprobs", 20)
    with pytest.raises(RecipeError, match=words) as caught:
        build_logprobs_engine(LLMSettings(**settings), top_logprobs)
    assert "hunter2" not in str(caught.value)


def test_the_answer_in_the_journal_is_the_same_text_whatever_the_order_of_tokens():
    texts = []
    for listed in (DIGITS, dict(reversed(DIGITS.items()))):
        with FakeLLMServer(lambda body, listed=listed: logprobs_reply(listed)) as server:
            request = LLMRequest(0, ({"role": "user", "content": "p"},), lambda text: texts.append(text) or text)
            answers_of(engine_for(server), [request])
    assert texts[0] == texts[1]
    assert json.loads(texts[0]) == DIGITS
