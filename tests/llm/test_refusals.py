"""A server that refuses after it has answered: when a run stops, when it goes on, and what it says of its answers."""

from __future__ import annotations

import asyncio
import itertools
import json
import pickle
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from mergeit_ops.core.merging.replies import FailureReason
from mergeit_ops.errors import LLMUnavailableError, MergeItError, TooManyFailuresError
from mergeit_ops.llm.backend import Completion
from mergeit_ops.llm.failures import CallFailedError, FailureKind
from mergeit_ops.llm.responses import reasoning_in
from mergeit_ops.llm.retry import RetryPolicy
from tests.llm.conftest import answers_of, engine_for, merge_requests, scripted_engine, text_request
from tests.llm.test_retries_over_http import Clock, engine_with
from tests.llm.virtual_time import VirtualLoop, in_virtual_time
from tests.llm_server import FakeLLMServer, Reply, error, merge_answer
from tests.thorough import every

NO_CREDIT = error(429, "You exceeded your current quota.", code="insufficient_quota")
STOPS = {
    "no credit by its code": (NO_CREDIT, "reports no credit left", "You exceeded your current quota"),
    "no credit by its status": (error(402, "Insufficient Balance"), "reports no credit left", "Insufficient Balance"),
    "no credit by its words": (error(400, "Your credit balance is too low"), "reports no credit left", "is too low"),
    "key expired": (error(401, "The key has expired"), "refused the API key", "OPENAI_API_KEY"),
    "key revoked": (error(403, "This API key was revoked: invalid api key"), "refused the API key", "OPENAI_API_KEY"),
    "forbidden": (error(403, "not for you"), "forbids every request", "not for you"),
    "model gone": (error(404, "no such model"), "does not know", "the models there are 'made-up-answers'"),
    "model gone, 400": (
        error(400, "x", code="model_not_found"),
        "does not know",
        "the models there are 'made-up-answers'",
    ),
    "retry never": (error(429, "limit", retry_after="1e308"), "asks to wait longer than a day", "limit"),
    "retry in hours": (error(429, "daily limit", retry_after="7200"), "asks to wait 7200 seconds", "daily limit"),
}


def answering_first(count: int, then: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """Answer some requests, and the others otherwise."""
    numbers = itertools.count(1)
    return lambda body: merge_answer(body) if next(numbers) <= count else then(body)


def number_of(body: dict[str, Any]) -> int:
    return int(body["messages"][-1]["content"].split("Explain item ")[1].split(".")[0])


@pytest.mark.parametrize("concurrency", [1, 16])
@pytest.mark.parametrize("case", STOPS)
def test_a_few_refusals_in_a_row_stop_the_run_and_the_next_one_pays_for_the_rest(case, concurrency):
    reply, why, words = STOPS[case]
    with FakeLLMServer(answering_first(40, lambda body: reply)) as server:
        with pytest.raises(LLMUnavailableError) as caught:
            answers_of(engine_for(server, max_concurrency=concurrency, max_failure_ratio=1), merge_requests(500))
        assert len(server.requests) <= 40 + 5 + 2 * concurrency
        text = str(caught.value)
        assert why in text
        assert words in text
        assert "40 answers are in the journal (cache_path): run the same recipe again" in text
        assert "\n" not in text
        server.answer = merge_answer
        _, usage = answers_of(engine_for(server), merge_requests(60))
    assert (usage.cache_hits, usage.calls) == (40, 20)


@pytest.mark.parametrize(
    "reply",
    [
        error(400, "malformed"),
        error(400, "prompt is too long: 9 tokens > 8 maximum"),
        error(400, "filtered", code="content_filter"),
        error(403, "Your input was flagged"),
        error(403, "Content violates usage guidelines."),
        error(401, "glitch"),
        error(402, "glitch"),
        error(404, "glitch"),
        error(429, "glitch"),
    ],
    ids=["400", "too long", "filtered", "flagged", "violates", "401", "402", "404", "429"],
)
def test_refusals_with_answers_between_stop_nothing_and_their_words_are_kept(reply):
    with FakeLLMServer(lambda body: reply if number_of(body) % 4 == 3 else merge_answer(body)) as server:
        engine = engine_for(server, max_concurrency=1)
        _, usage = answers_of(engine, merge_requests(40))
    assert (usage.answered, sum(usage.failures.values())) == (30, 10)
    (reason,) = usage.failures
    assert engine.figures()["last_errors"] == usage.last_errors == {reason: f"HTTP {reply.status}: {_message(reply)}"}


def _message(reply: Reply) -> str:
    return str(reply.payload["error"]["message"])


@pytest.mark.parametrize(
    "reply",
    [
        error(400, "prompt is too long"),
        error(400, "x", code="content_filter"),
        error(403, "Content violates usage guidelines."),
        error(413, "Payload Too Large"),
        error(451, "no"),
    ],
)
def test_many_requests_in_a_row_that_are_too_long_or_filtered_are_each_about_themselves(reply):
    with FakeLLMServer(lambda body: reply if 60 <= number_of(body) < 90 else merge_answer(body)) as server:
        _, usage = answers_of(engine_for(server, max_concurrency=1), merge_requests(120))
    assert usage.answered == 90


@pytest.mark.parametrize("reply", [error(500), Reply(drop=True), error(400, "broken since")])
def test_twenty_failures_in_a_row_stop_a_run_that_may_stop(reply):
    with FakeLLMServer(answering_first(200, lambda body: reply)) as server:
        with pytest.raises(LLMUnavailableError, match="200 answers are in the journal"):
            answers_of(engine_for(server, RetryPolicy(attempts=1), max_concurrency=1), merge_requests(1000))
        assert len(server.requests) <= 222


def named(status: int, message: str, **fields: Any) -> Callable[[dict[str, Any]], Any]:
    """Refuse each request in the same words but for its own name."""
    numbers = itertools.count()
    return lambda body: error(status, f"{message} (request req_{next(numbers):08x})", **fields)


@pytest.mark.parametrize(
    ("reply", "ratio", "most"),
    [
        (named(412, "Account x is suspended"), 1, 5),
        (named(400, "restricted", code="organization_restricted"), 1, 5),
        (named(400, "Tenant y may not"), 0.5, 20),
        (named(400, "Tenant y may not"), 1, 100),
        (lambda body: error(400, f"malformed {'x' * number_of(body)}"), 1, 100),
    ],
    ids=["account", "organization", "the same words", "the same words, any share", "other words, any share"],
)
def test_refusals_that_name_each_request_are_alike(reply, ratio, most):
    with FakeLLMServer(answering_first(200, reply)) as server:
        with pytest.raises(LLMUnavailableError, match="200 answers are in the journal"):
            answers_of(engine_for(server, max_concurrency=1, max_failure_ratio=ratio), merge_requests(500))
        assert len(server.requests) <= 200 + most + 2


def test_from_the_start_three_refusals_that_name_each_request_are_enough():
    with FakeLLMServer(named(400, "Tenant y may not")) as server:
        with pytest.raises(LLMUnavailableError, match="refuses every request"):
            answers_of(engine_for(server, RetryPolicy(), max_concurrency=1), merge_requests(50))
        assert len(server.requests) <= 3 * 4


class Account:
    """A server that answers some requests of each minute, each after a while, and refuses the others at once."""

    def __init__(
        self,
        loop: VirtualLoop,
        quota: int,
        retry_after: float | None,
        latency_s: float = 3.0,
        ends_after: float = float("inf"),
    ) -> None:
        self.loop = loop
        self.quota = quota
        self.retry_after = retry_after
        self.latency_s = latency_s
        self.ends_after = ends_after
        self.minute = -1
        self.left = 0
        self.sent = 0

    async def complete(self, messages: Any, params: Any, schema: Any) -> Completion:
        self.sent += 1
        minute = int((self.loop.now + 31) // 60)
        if minute != self.minute:
            self.minute, self.left = minute, self.quota
        if not self.left or self.sent > self.ends_after:
            await asyncio.sleep(0.05)
            raise CallFailedError(FailureKind.RATE_LIMITED, "HTTP 429: slow down", retry_after=self.retry_after)
        self.left -= 1
        await asyncio.sleep(self.latency_s)
        return Completion("good")


def at_an_account(monkeypatch: pytest.MonkeyPatch, concurrency: int, *account: Any, **more: Any) -> tuple[Any, Account]:
    engine = scripted_engine(lambda *asked: server.complete(*asked), RetryPolicy(), max_concurrency=concurrency)
    server = Account(in_virtual_time(engine, monkeypatch), *account, **more)
    return engine, server


@pytest.mark.parametrize("retry_after", [None, 1, 30, 250])
@pytest.mark.parametrize("concurrency", [1, 2, 64])
def test_waiting_for_a_rate_without_progress_ends(concurrency, retry_after, monkeypatch):
    """Whatever has been answered before."""
    engine, server = at_an_account(monkeypatch, concurrency, 90, retry_after, ends_after=90)
    with pytest.raises(LLMUnavailableError, match=r"for its rate \(HTTP 429: slow down\).*answers are in the journal"):
        answers_of(engine, [text_request(number) for number in range(300)])
    print(f"{server.loop.now:.0f} s, {server.sent} requests sent")
    # Longer than a minute's quota; where few are in flight each has its attempts, and holds up the other.
    begun_s = 90 / concurrency * server.latency_s
    # On a busy machine time is skipped while a thread is late, so that the bounds are wide.
    assert 60 < server.loop.now - begun_s < (1600 if retry_after == 250 else 300 if concurrency == 64 else 600)


@pytest.mark.parametrize(
    ("concurrency", "quota", "retry_after"),
    [
        *[(64, 3, None), (64, 20, None), (64, 3, 20), (64, 10, 1), (64, 1, None), (64, 60, 60)],
        *[(4, 1, None), (4, 2, 1), (1, 2, None), (1, 2, 1), (16, 5, 30)],
    ],
)
@pytest.mark.parametrize("latency_s", every(2, [1.0, 20.0]))
def test_a_quota_for_each_minute_stops_nothing_and_loses_no_request(
    concurrency, quota, retry_after, latency_s, monkeypatch
):
    engine, server = at_an_account(monkeypatch, concurrency, quota, retry_after, latency_s=latency_s)
    count = min(200, 25 * quota)
    _, usage = answers_of(engine, [text_request(number) for number in range(count)])
    print(f"{server.loop.now:.0f} s for {usage.answered}, {server.sent} requests sent")
    assert (usage.answered, usage.failures) == (count, {})


def test_a_request_whose_rate_is_always_refused_costs_itself_where_others_are_answered(monkeypatch):
    async def complete(messages: Any, params: Any, schema: Any) -> Completion:
        await asyncio.sleep(0.05)
        if int(messages[0]["content"].split(":")[0]) in (20, 21, 22, 23):
            raise CallFailedError(FailureKind.RATE_LIMITED, "HTTP 429: more than a minute's tokens")
        await asyncio.sleep(2.0)
        return Completion("good")

    engine = scripted_engine(complete, RetryPolicy(), max_concurrency=8)
    in_virtual_time(engine, monkeypatch)
    _, usage = answers_of(engine, [text_request(number) for number in range(400)])
    assert (usage.answered, usage.failures) == (396, {"api_failed": 4})


@pytest.mark.parametrize("retry_after", [None, "30"])
def test_over_http_too_an_endless_429_ends(retry_after):
    clock = Clock()
    limited = error(429, "slow down", retry_after=retry_after)
    with FakeLLMServer(answering_first(20, lambda body: limited)) as server:
        engine = engine_with(clock, server, max_concurrency=16)
        with pytest.raises(LLMUnavailableError, match=r"for its rate \(HTTP 429: slow down\).*20 answers are in"):
            answers_of(engine, merge_requests(100))
    assert len(server.requests) < 200


def test_answers_that_are_under_way_when_a_run_stops_are_kept():
    numbers = itertools.count()

    def answer(body: dict[str, Any]) -> Any:
        number = next(numbers)
        if number < 14:
            return Reply(merge_answer(body), latency_s=0.0 if number < 10 else 1.0)
        return Reply(**{**vars(NO_CREDIT), "latency_s": 0.2})

    with FakeLLMServer(answer) as server:
        engine = engine_for(server, max_concurrency=8)
        with pytest.raises(LLMUnavailableError, match="14 answers are in the journal"):
            answers_of(engine, merge_requests(100))
        sent = len(server.requests)
        server.answer = merge_answer
        _, usage = answers_of(engine_for(server), merge_requests(100))
    assert sent < 40
    assert usage.cache_hits == 14


def test_refusals_are_counted_from_run_to_run_of_an_engine_and_travel_with_it():
    """A scorer asks batch by batch, and a batch may be a single request."""
    with FakeLLMServer(answering_first(5, lambda body: error(401, "expired"))) as server:
        engine = engine_for(server)
        answers_of(engine, merge_requests(5))
        for number in (10, 11):
            requests = [request for request in merge_requests(12) if request.tag == number]
            engine.run(requests, lambda outcome: None, more_to_come=True)
            engine = pickle.loads(pickle.dumps(engine))
        with pytest.raises(LLMUnavailableError, match=r"refused the API key .*5 answers are in"):
            engine.run(list(merge_requests(15))[12:], lambda outcome: None, more_to_come=True)


# What is said of the journal.


def test_without_a_journal_no_answer_is_said_to_be_kept():
    with FakeLLMServer(answering_first(5, lambda body: NO_CREDIT)) as server:
        engine = engine_for(server, cache_path=None, max_concurrency=1)
        with pytest.raises(LLMUnavailableError, match="cache_path is null, so no answer is stored"):
            answers_of(engine, merge_requests(20))


def test_answers_that_could_not_be_written_are_not_said_to_be_in_the_journal(tmp_path):
    file = tmp_path / "a.db"

    def requests():
        for number, request in enumerate(merge_requests(40)):
            if number == 10:
                connection = sqlite3.connect(file)
                connection.execute("CREATE TRIGGER full BEFORE INSERT ON answers BEGIN SELECT RAISE(FAIL, 'full'); END")
                connection.commit()
                connection.close()
            yield request

    with FakeLLMServer(answering_first(20, lambda body: NO_CREDIT)) as server:
        engine = engine_for(server, cache_path=str(file), max_concurrency=1)
        with pytest.raises(LLMUnavailableError) as caught:
            answers_of(engine, requests())
    connection = sqlite3.connect(file)
    (stored,) = connection.execute("SELECT count(*) FROM answers").fetchone()
    connection.close()
    # The damaged file is set aside, with what it held.
    assert 0 < stored < 20
    assert f"{stored} answers are in the journal (cache_path), and 1 could not be written to it" in str(caught.value)


def test_the_same_question_twice_is_one_answer_in_the_journal():
    with FakeLLMServer(answering_first(5, lambda body: NO_CREDIT)) as server:
        engine = engine_for(server, max_concurrency=1)
        twice = [*merge_requests(5), *merge_requests(5), *list(merge_requests(20))[5:]]
        for number, request in enumerate(twice):
            object.__setattr__(request, "tag", number)
        with pytest.raises(LLMUnavailableError, match="5 answers are in the journal"):
            answers_of(engine, twice)


def test_too_many_failures_tell_the_commonest_error_and_the_journal():
    server = FakeLLMServer(answering_first(8, lambda body: "Sure! Here is \x1b[1mnothing"))
    with server, pytest.raises(TooManyFailuresError) as caught:
        answers_of(engine_for(server, max_concurrency=1), merge_requests(100))
    assert "the answer begins with 'Sure! Here is nothing'" in str(caught.value)
    assert "8 answers are in the journal" in str(caught.value)


# Parameters that a model does not take.


def refusing(field: str, message: str, **fields: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda body: error(400, message, **fields) if field in body else merge_answer(body)


TEMPERATURE = {
    "OpenAI": error(
        400,
        "Unsupported value: 'temperature' does not support 0.25 with this model. Only the default (1) value is "
        "supported.",
        type="invalid_request_error",
        param="temperature",
        code="unsupported_value",
    ),
    "without a code": error(400, "Unsupported parameter: 'temperature' is not supported with this model."),
    "LiteLLM": error(400, "litellm.UnsupportedParamsError: gpt-5 models don't support temperature=0.25."),
    "LiteLLM, with a parameter called None": error(
        400, "gpt-5 models don't support temperature=0.25.", param="None", type="None", code="400"
    ),
    "a gateway": error(500, "litellm.BadRequestError: temperature is not supported"),
    "OpenRouter": error(404, "No endpoints found that support the requested parameters: temperature", code=404),
    "a place in the body": error(400, "Unsupported value", param="body.temperature"),
    "Moonshot": error(400, "invalid temperature: only 1 is allowed for this model"),
    "pydantic": Reply(
        status=422,
        payload={"detail": [{"type": "extra_forbidden", "loc": ["body", "temperature"], "msg": "Extra inputs"}]},
    ),
}


@pytest.mark.parametrize("who", TEMPERATURE)
def test_a_default_that_a_model_refuses_is_dropped_once_and_nothing_is_paid_twice(who):
    with FakeLLMServer(lambda body: TEMPERATURE[who] if "temperature" in body else merge_answer(body)) as server:
        engine = engine_for(server, max_concurrency=1)
        _, usage = answers_of(engine, merge_requests(10))
        assert (usage.answered, usage.failures, len(server.requests)) == (10, {}, 11)
        assert {body["response_format"]["type"] for body in server.requests} == {"json_schema"}
        assert engine.figures()["dropped_parameters"] == ["temperature"]
        again = engine_for(server)
        assert again.plan(merge_requests(10))["calls"] == 0
        _, usage = answers_of(again, merge_requests(10))
    assert (usage.cache_hits, usage.calls) == (10, 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [("temperature", 0.7), ("top_p", 0.9), ("seed", 1), ("presence_penalty", 0.1), ("reasoning_effort", "low")],
)
def test_a_setting_of_the_recipe_that_a_model_refuses_stops_the_run_at_once(field, value):
    with FakeLLMServer(refusing(field, f"Unsupported parameter: '{field}'", param=field)) as server:
        with pytest.raises(LLMUnavailableError, match=rf"refuses '{field}' .*remove it from sampling_params") as caught:
            answers_of(engine_for(server, sampling_params={field: value}), merge_requests(50))
        assert len(server.requests) == 1
    assert caught.value.__context__ is None


@pytest.mark.parametrize("params", [{"top_p": 0.9}, {"extra_body": {"top_p": 0.9}}])
@pytest.mark.parametrize("ratio", [0.1, 1])
def test_a_setting_that_is_refused_later_on_is_named_with_its_cure(ratio, params):
    refused = error(400, "Unsupported parameter: 'top_p'", param="top_p")
    with FakeLLMServer(answering_first(10, lambda body: refused)) as server:
        engine = engine_for(server, sampling_params=params, max_concurrency=1, max_failure_ratio=ratio)
        with pytest.raises(MergeItError) as caught:
            answers_of(engine, merge_requests(200))
    assert "take 'top_p' out of sampling_params, or give it a value that the server takes" in str(caught.value)


def test_a_setting_in_extra_body_is_one_of_the_recipe():
    params = {"extra_body": {"min_p": 0.1}}
    server = FakeLLMServer(refusing("min_p", "property 'min_p' is unsupported"))
    with server, pytest.raises(LLMUnavailableError, match="refuses 'min_p'"):
        answers_of(engine_for(server, sampling_params=params), merge_requests(50))


@pytest.mark.parametrize("budget", [None, 100_000])
def test_a_bound_is_renamed_whether_or_not_the_server_names_the_field_by_itself(budget):
    message = (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    )
    params = {"max_tokens": 500} if budget is None else None
    with FakeLLMServer(refusing("max_tokens", message)) as server:
        engine = engine_for(server, sampling_params=params, max_total_tokens=budget, max_concurrency=1)
        _, usage = answers_of(engine, merge_requests(5))
        assert usage.answered == 5
        assert all("max_completion_tokens" in body for body in server.requests[1:])


# Models that think, and others than were asked for.


def message(content: Any, finish: str = "stop", **fields: Any) -> Reply:
    choice = {"message": {"role": "assistant", "content": content, **fields}, "finish_reason": finish}
    return Reply(payload={"model": "m", "choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 5}})


ONLY_REASONING = {
    "DeepSeek": message("", reasoning_content="Let me think."),
    "DeepSeek, cut off": message(None, "length", reasoning_content="Let me think."),
    "OpenRouter": message("", reasoning="Let me think."),
    "Ollama": message(" \n", thinking="Let me think."),
    "details": message("", reasoning_details=[{"type": "reasoning.text", "text": "Let me think."}]),
    "Mistral": message([{"type": "thinking", "thinking": [{"type": "text", "text": "Let me think."}]}]),
    "in the text": message("<think>Let me think.</think>\n"),
    "in the text, open": message("<think>Let me think", "length"),
    "Seed": message("<seed:think>Let me think.</seed:think>"),
    "Mistral, in the text": message("[THINK]Let me think.[/THINK]"),
    "Mistral, open": message("[THINK]Let me think.", "length"),
    "Kimi": message("◁think▷Let me think.◁/think▷"),
    "Kimi, opened by a template": message("Let me think.◁/think▷"),
    "Harmony": message("<|channel|>analysis<|message|>Let me think.<|end|>"),
    "Harmony, with its start": message("<|start|>assistant<|channel|>analysis<|message|>Let me think."),
    "Gemma": message("<|channel>thought\nLet me think.<channel|>"),
    "OpenThinker": message("<|begin_of_thought|>Let me think.<|end_of_thought|>"),
    "counted beside the tokens": Reply(
        payload={
            "choices": [{"message": {"content": ""}, "finish_reason": "length"}],
            "usage": {"completion_tokens": 9, "reasoning_tokens": 9},
        }
    ),
    "in the text, opened by a template": message("Let me think.</think>"),
    "OpenAI": Reply(
        payload={
            "choices": [{"message": {"content": ""}, "finish_reason": "length"}],
            "usage": {"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 9}},
        }
    ),
}


@pytest.mark.parametrize(
    "text",
    [
        "<think>a</think>b",
        "<think>a</think>b <think> c",
        "a</think>b",
        "[THINK]a[/THINK]b",
        "◁think▷a◁/think▷b",
        "<seed:think>a</seed:think>b",
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b",
        "<|channel>thought\na<channel|>b",
        "<|begin_of_thought|>a<|end_of_thought|><|begin_of_solution|>b<|end_of_solution|>",
        "b, and not <think>",
        "[1, 2]",
        "b",
    ],
)
def test_what_stands_behind_reasoning_is_an_answer(text):
    assert reasoning_in({}, {}, text) is None


@pytest.mark.parametrize("who", ONLY_REASONING)
def test_reasoning_without_an_answer_stops_the_run_after_a_few(who):
    with FakeLLMServer(lambda body: ONLY_REASONING[who]) as server:
        with pytest.raises(LLMUnavailableError) as caught:
            answers_of(engine_for(server, max_concurrency=4), merge_requests(100))
        assert len(server.requests) <= 3 * 3 + 4
    for part in ("writes its reasoning but no answer", "max_tokens", "enable_thinking", "reasoning_effort"):
        assert part in str(caught.value)


def test_fewer_requests_than_a_few_say_so_at_the_end():
    said = r"no answer: the content is empty, but there is reasoning.*max_tokens"
    with (
        FakeLLMServer(lambda body: ONLY_REASONING["DeepSeek"]) as server,
        pytest.raises(LLMUnavailableError, match=said),
    ):
        answers_of(engine_for(server), merge_requests(2))


def test_where_answers_come_reasoning_without_one_costs_its_request_and_is_explained():
    reply = ONLY_REASONING["DeepSeek, cut off"]
    with FakeLLMServer(lambda body: reply if number_of(body) in (3, 5, 6, 7) else merge_answer(body)) as server:
        _, usage = answers_of(engine_for(server, max_concurrency=1), merge_requests(20))
    assert (usage.answered, usage.failures) == (16, {"truncated": 4})
    assert "max_tokens" in usage.last_errors["truncated"]


def test_reasoning_beside_an_answer_is_an_answer():
    def answer(body: dict[str, Any]) -> Reply:
        return message(merge_answer(body), reasoning_content="Let me think.")

    with FakeLLMServer(answer) as server:
        _, usage = answers_of(engine_for(server), merge_requests(10))
    assert (usage.answered, usage.answered_as) == (10, {})


@pytest.mark.parametrize(
    ("name", "said"), [("m-2024-08-06", False), ("path/to/m", False), ("m-mini", True), ("x", True)]
)
def test_another_model_than_was_asked_for_is_said_once_and_counted(name, said, capfd):
    def answer(body: dict[str, Any]) -> Reply:
        choice = {"message": {"content": merge_answer(body)}, "finish_reason": "stop"}
        return Reply(payload={"model": name, "choices": [choice]})

    with FakeLLMServer(answer) as server:
        engine = engine_for(server)
        answers_of(engine, merge_requests(6))
        answers_of(engine, list(merge_requests(8))[6:])
    assert engine.figures().get("answered_as", {}) == ({name: 8} if said else {})
    assert engine.model == "m"


@pytest.mark.parametrize(("asked", "said"), [("local", False), ("local-model", False), ("local-7b", True)])
def test_the_model_behind_a_placeholder_is_recorded_without_a_notice(asked, said, lines):
    def answer(body: dict[str, Any]) -> Reply:
        choice = {"message": {"content": merge_answer(body)}, "finish_reason": "stop"}
        return Reply(payload={"model": "qwen2.5-1.5b-q4.gguf", "choices": [choice]})

    with FakeLLMServer(answer) as server:
        engine = engine_for(server, api_or_hf_model=asked)
        answers_of(engine, merge_requests(3))
    assert engine.figures()["answered_as"] == {"qwen2.5-1.5b-q4.gguf": 3}
    assert any("was asked for model" in line for line in lines) is said


def test_names_that_a_server_makes_up_do_not_fill_the_record():
    async def complete(messages, params, schema):
        await asyncio.sleep(0)
        return Completion("good", model=f"\x1b[1m{messages[0]['content']}")

    engine = scripted_engine(complete, cache_path=None)
    answers_of(engine, [text_request(number) for number in range(100)])
    named = engine.figures()["answered_as"]
    assert len(named) == 8
    assert all(name.isprintable() for name in named)
    assert json.dumps(named)


def test_a_request_with_several_candidates_is_one_refusal():
    async def complete(messages, params, schema):
        await asyncio.sleep(0)
        if messages[0]["content"].startswith("bad"):
            raise CallFailedError(FailureKind.UNAUTHORIZED, "HTTP 401: x", status=401)
        return Completion("good")

    engine = scripted_engine(complete, max_concurrency=1, cache_path=None)
    requests = [text_request(0), text_request("bad", num_candidates=6), text_request(1)]
    outcomes, _ = answers_of(engine, requests)
    assert outcomes["bad"].error is FailureReason.API_FAILED
    assert outcomes[1].answers == ("good",)
