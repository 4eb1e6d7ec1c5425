"""The engine: every request gets one outcome, nothing is asked twice, and a hopeless run stops soon."""

from __future__ import annotations

import asyncio
import json
import pickle
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from mergeit_ops.core.merging.replies import FailureReason, ReplyError
from mergeit_ops.errors import LLMUnavailableError, TooManyFailuresError
from mergeit_ops.llm.backend import Completion
from mergeit_ops.llm.failures import CallFailedError, FailureKind
from mergeit_ops.llm.requests import LLMOutcome, LLMRequest
from mergeit_ops.llm.retry import RetryPolicy
from tests.llm.conftest import (
    FAST,
    answers_of,
    engine_for,
    merge_request,
    merge_requests,
    parents,
    scripted_engine,
    text_request,
)
from tests.llm_server import FakeLLMServer, Reply, error, merge_answer


class Clock:
    """Time that passes only while somebody sleeps."""

    now = 0.0

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)


def test_every_request_gets_one_outcome_and_the_usage_adds_up():
    with FakeLLMServer(lambda body: Reply(merge_answer(body), usage=(10, 5))) as server:
        outcomes, usage = answers_of(engine_for(server), merge_requests(30))
    assert sorted(outcomes) == list(range(30))
    for number, outcome in outcomes.items():
        assert outcome.error is None
        assert parents(number)[0].output in outcome.answers[0].output
    assert (usage.requests, usage.answered, usage.calls, usage.cache_hits) == (30, 30, 30, 0)
    assert (usage.prompt_tokens, usage.completion_tokens, usage.estimated_calls) == (300, 150, 0)
    assert usage.failures == {}


def test_no_requests_need_no_server():
    outcomes, usage = answers_of(engine_for("http://127.0.0.1:1/v1"), [])
    assert outcomes == {}
    assert usage.calls == 0


def test_calls_in_flight_are_many_and_never_more_than_allowed():
    with FakeLLMServer(latency_s=0.05) as server:
        answers_of(engine_for(server, max_concurrency=8), merge_requests(60))
        assert server.max_in_flight == 8
    with FakeLLMServer(latency_s=0.01) as server:
        answers_of(engine_for(server, max_concurrency=3), merge_requests(5, num_candidates=4))
        assert 1 < server.max_in_flight <= 3


def test_requests_are_pulled_as_they_are_needed():
    pulled = finished = most = 0

    def source():
        nonlocal pulled, most
        for request in merge_requests(100):
            pulled += 1
            most = max(most, pulled - finished)
            yield request

    def note(_):
        nonlocal finished
        finished += 1

    with FakeLLMServer(latency_s=0.002) as server:
        engine_for(server, max_concurrency=4).run(source(), note)
    assert finished == 100
    assert most <= 8


def test_a_request_that_follows_from_an_answer_comes_before_those_that_have_not_begun():
    def request(name):
        return LLMRequest(name, ({"role": "user", "content": name},), str)

    ended = []

    def follow(outcome):
        (answer,) = outcome.answers
        if len(answer) < 3:
            return request(answer)
        ended.append(answer)
        return None

    with FakeLLMServer(lambda body: body["messages"][0]["content"] + "!") as server:
        usage = engine_for(server, max_concurrency=1).run(map(request, "abcdefgh"), follow)
        asked = [body["messages"][0]["content"] for body in server.requests]
    assert ended == [f"{name}!!" for name in sorted(text[0] for text in ended)]
    assert sorted(asked) == sorted(part for name in "abcdefgh" for part in (name, name + "!"))
    assert usage.requests == 16
    # Two requests are prepared at a time, so that one of each chain is between the two of another at most.
    assert all(asked.index(name + "!") - asked.index(name) <= 3 for name in "abcdefgh")


def test_a_second_run_asks_nothing_and_needs_no_server():
    with FakeLLMServer() as server:
        first, _ = answers_of(engine_for(server), merge_requests(10))
        url = server.base_url
    second, usage = answers_of(engine_for(url), merge_requests(10))
    assert {tag: outcome.answers for tag, outcome in first.items()} == {
        tag: outcome.answers for tag, outcome in second.items()
    }
    assert (usage.calls, usage.cache_hits, usage.total_tokens) == (0, 10, 0)


def test_answers_are_in_the_journal_when_the_outcome_comes(tmp_path):
    file = tmp_path / "a.db"
    seen: list[int] = []

    def note(_):
        with sqlite3.connect(file) as connection:
            seen.append(connection.execute("SELECT count(*) FROM answers").fetchone()[0])
        connection.close()

    with FakeLLMServer() as server:
        engine_for(server, cache_path=str(file)).run(merge_requests(5), note)
    assert all(count >= position for position, count in enumerate(seen, start=1))


def test_without_a_journal_everything_is_asked_again():
    with FakeLLMServer() as server:
        for _ in range(2):
            _, usage = answers_of(engine_for(server, cache_path=None), merge_requests(3))
            assert usage.calls == 3


def test_the_same_question_twice_at_once_is_asked_once():
    with FakeLLMServer(latency_s=0.02) as server:
        requests = [text_request("a", parse=str), text_request("a", parse=str)]
        outcomes = []
        usage = engine_for(server).run(requests, outcomes.append)
        assert len(outcomes) == 2
        assert (usage.calls, usage.cache_hits) == (1, 1)


def test_answers_that_do_not_parse_are_asked_again_and_not_stored():
    replies = iter(["nonsense", "{}", None])

    def answer(body):
        return next(replies, None) or merge_answer(body)

    with FakeLLMServer(answer) as server:
        outcomes, usage = answers_of(engine_for(server), merge_requests(1))
        assert outcomes[0].error is None
        assert (usage.calls, usage.reasks, usage.retries) == (3, 2, 0)
    with FakeLLMServer(lambda body: "nonsense") as server:
        engine = engine_for(server, try_num=2, max_failure_ratio=1)
        for _ in range(2):
            outcomes, usage = answers_of(engine, merge_requests(1))
            assert outcomes[0].error is FailureReason.UNPARSABLE
            assert usage.calls == 2


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply("nonsense"), "unparsable"),
        (Reply("{}", finish_reason="length"), "truncated"),
        (Reply(None, refusal="I will not"), "refused"),
        (Reply("", finish_reason="content_filter"), "refused"),
        (Reply(None), "empty"),
        (Reply(payload={"choices": []}), "no_choices"),
        (Reply(json.dumps({"instruction": "Explain item 0.", "input": "", "output": "Item 0 is a thing."})), "echo"),
        (error(400, "context length exceeded"), "too_long"),
        (error(400, "the flux capacitor is cold"), "api_failed"),
        (error(500), "api_failed"),
        (Reply(drop=True), "api_failed"),
        (Reply(payload=b"<html>"), "api_failed"),
    ],
)
def test_each_fault_ends_as_a_reason_code(reply, reason):
    def answer(body):
        return reply if "item 0." in json.dumps(body["messages"]) else merge_answer(body)

    with FakeLLMServer(answer) as server:
        outcomes, usage = answers_of(engine_for(server), merge_requests(4))
    assert str(outcomes[0].error) == reason
    assert outcomes[0].answers == ()
    assert all(outcomes[number].error is None for number in (1, 2, 3))
    assert usage.failures == {reason: 1}


def test_failed_calls_are_made_again_a_bounded_number_of_times():
    faults = Counter()

    def answer(body):
        last = body["messages"][-1]["content"]
        faults[last] += 1
        return error(503) if faults[last] <= 2 else merge_answer(body)

    with FakeLLMServer(answer) as server:
        engine = engine_for(server)
        engine.proven = True
        _, usage = answers_of(engine, merge_requests(5))
        assert (usage.answered, usage.calls, usage.retries) == (5, 15, 10)
    with FakeLLMServer(lambda body: error(503)) as server:
        engine = engine_for(server, RetryPolicy(attempts=4, base_s=0.0), max_failure_ratio=1)
        engine.proven = True
        _, usage = answers_of(engine, merge_requests(2))
        assert (usage.calls, usage.failures) == (8, {"api_failed": 2})


@pytest.mark.parametrize(
    ("options", "status", "advice"),
    [
        ({"api_key": "right"}, 401, "OPENAI_API_KEY"),
        ({"models": ("another",)}, 404, "api_or_hf_model"),
    ],
)
def test_a_hopeless_run_stops_with_few_requests_and_one_sentence(options, status, advice):
    with FakeLLMServer(**options) as server:
        outcomes = []
        with pytest.raises(LLMUnavailableError) as caught:
            engine_for(server, max_concurrency=64).run(merge_requests(1000), outcomes.append)
        assert len(server.requests) == 1
    assert advice in str(caught.value)
    assert f"HTTP {status}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert outcomes == []
    assert caught.value.__context__ is None
    # What a person sees is the sentence, not the frames of an event loop.
    assert [entry.path for entry in caught.traceback if "asyncio" in str(entry.path)] == []


def test_nobody_listening_stops_after_a_few_attempts():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    engine = engine_for(f"http://127.0.0.1:{port}/v1", RetryPolicy())
    with pytest.raises(LLMUnavailableError, match=rf"127\.0\.0\.1:{port}.*start the server"):
        answers_of(engine, merge_requests(200))
    assert engine.total.calls == 3


@pytest.mark.parametrize(
    "reply",
    [
        Reply(latency_s=60),
        Reply(drop=True),
        Reply(payload=b"<html>hello</html>", headers={"Content-Type": "text/html"}),
        Reply(payload=b"[" * 200_000),
        error(500),
        error(503),
        Reply(payload={"error": {"message": "no provider", "code": 502}}),
    ],
    ids=["silent", "dropped", "html", "deep", "500", "503", "error in a 200"],
)
def test_a_server_that_never_answers_properly_stops_the_run_after_a_few_attempts(reply):
    with FakeLLMServer(lambda body: reply) as server:
        # With more patience than the call has: silence then counts as a failure of the first call alone.
        policy = RetryPolicy(first_contact_s=0.001, refusal_s=5.0)
        engine = engine_for(server, policy, timeout_s=0.3, max_concurrency=64)
        with pytest.raises(LLMUnavailableError, match=r"base_url.*/v1") as caught:
            answers_of(engine, merge_requests(200))
    assert engine.total.calls == 3
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (error(500), FailureReason.API_FAILED),
        (Reply(drop=True), FailureReason.API_FAILED),
        (error(403, "no"), FailureReason.API_FAILED),
        (error(403, "flagged by moderation"), FailureReason.REFUSED),
    ],
)
def test_one_bad_row_at_the_start_does_not_stop_the_run(reply, reason):
    def answer(body):
        return reply if "item 0." in body["messages"][-1]["content"] else merge_answer(body)

    with FakeLLMServer(answer) as server:
        outcomes, usage = answers_of(engine_for(server), merge_requests(20))
    assert usage.answered == 19
    assert outcomes[0].error is reason


@pytest.mark.parametrize(("requests", "asked"), [(200, 3), (2, 2)])
def test_a_server_that_forbids_everything_stops_the_run(requests, asked):
    with FakeLLMServer(lambda body: error(403, "not yours")) as server:
        with pytest.raises(LLMUnavailableError, match=r"forbids.*not yours"):
            answers_of(engine_for(server, max_concurrency=64), merge_requests(requests))
        assert len(server.requests) == asked


def test_a_server_that_refuses_the_rate_of_the_first_request_stops_the_run():
    with FakeLLMServer(lambda body: error(429)) as server:
        with pytest.raises(LLMUnavailableError, match="rate"):
            answers_of(engine_for(server), merge_requests(50))
        assert len(server.requests) == 6


def test_the_first_call_is_made_alone_and_the_others_together():
    in_flight = most = first_alone = 0
    together = asyncio.Event()

    async def complete(messages, params, schema):
        nonlocal in_flight, most, first_alone
        in_flight += 1
        most = max(most, in_flight)
        if most == 8:
            together.set()
        if not engine.proven:
            for _ in range(200):
                await asyncio.sleep(0)
            first_alone = most
        else:
            await together.wait()
        in_flight -= 1
        return Completion("good")

    engine = scripted_engine(complete, max_concurrency=8, cache_path=None)
    _, usage = answers_of(engine, [text_request(number) for number in range(17)])
    assert (first_alone, most, usage.calls) == (1, 8, 17)


def test_a_first_answer_that_takes_its_time_does_not_hold_up_the_others():
    asked_s: list[float] = []
    start_s = time.monotonic()

    def answer(body):
        asked_s.append(time.monotonic())
        return merge_answer(body)

    with FakeLLMServer(answer, latency_s=2.0) as server:
        engine = engine_for(server, RetryPolicy(refusal_s=0.2), max_concurrency=8)
        answers_of(engine, merge_requests(8))
    first_s, *others_s = sorted(asked_s)
    assert len(others_s) == 7
    # They waited for a while, and not for its answer.
    assert start_s + 0.2 < others_s[0] <= others_s[-1] < first_s + 2.0 <= time.monotonic()


def test_a_server_that_turns_others_away_while_it_works_on_the_first_is_not_given_up():
    start = time.monotonic()

    def answer(body):
        if len(server.requests) == 1:
            return Reply(text=merge_answer(body), latency_s=0.4)
        return merge_answer(body) if time.monotonic() - start > 0.5 else error(503)

    with FakeLLMServer(answer) as server:
        engine = engine_for(server, RetryPolicy(base_s=0.2, refusal_s=0.05), max_concurrency=16)
        _, usage = answers_of(engine, merge_requests(40))
    assert usage.answered == 40


def test_a_silent_server_is_given_up_although_it_refuses_nothing():
    with FakeLLMServer(lambda body: Reply(latency_s=60)) as server:
        engine = engine_for(server, RetryPolicy(refusal_s=0.1, first_contact_s=0.01), timeout_s=0.4, max_concurrency=8)
        start = time.monotonic()
        with pytest.raises(LLMUnavailableError, match="no answer that can be used"):
            answers_of(engine, merge_requests(200))
    assert engine.total.calls <= 3 * 8 + 1
    assert time.monotonic() - start < 5


def test_a_cancellation_that_is_taken_for_a_timeout_does_not_hold_up_the_end():
    """aiohttp raises its timeout in the place of a cancellation that comes at the same moment."""
    under_way = asyncio.Event()

    async def complete(messages, params, schema):
        if messages[0]["content"].startswith("0"):
            return Completion("good")
        if messages[0]["content"].startswith("1"):
            await under_way.wait()
            raise LLMUnavailableError("the server is gone")
        under_way.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            raise CallFailedError(FailureKind.TRANSIENT, "it took too long") from None

    engine = scripted_engine(complete, replace(FAST, answers_under_way_s=0.01), max_concurrency=4, cache_path=None)
    stopped: list[str] = []

    def run():
        with pytest.raises(LLMUnavailableError) as error:
            answers_of(engine, [text_request(number) for number in range(10)])
        stopped.append(str(error.value))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    assert ["the server is gone" in text for text in stopped] == [True]


def test_a_server_that_asks_to_wait_too_long_stops_the_run_and_is_left_alone(tmp_path):
    asked = 0

    def answer(body):
        nonlocal asked
        asked += 1
        return merge_answer(body) if asked <= 30 else error(429, retry_after="900")

    with FakeLLMServer(answer) as server:
        engine = engine_for(server, max_concurrency=8)
        with pytest.raises(LLMUnavailableError, match=r"900 seconds.*again later"):
            answers_of(engine, merge_requests(100))
        assert asked <= 30 + 8
        assert engine.total.failures == {}
        server.answer = merge_answer
        _, usage = answers_of(engine_for(server), merge_requests(100))
    assert (usage.cache_hits, usage.calls) == (30, 70)


def test_a_call_that_is_given_up_pauses_the_stage_too():
    clock = Clock()
    sent: list[float] = []

    async def complete(messages, params, schema):
        sent.append(clock.now)
        if len(sent) == 5:
            raise CallFailedError(FailureKind.RATE_LIMITED, "HTTP 429", status=429, retry_after=30.0)
        await asyncio.sleep(0)
        return Completion("good")

    engine = scripted_engine(complete, RetryPolicy(attempts=1), max_concurrency=2, cache_path=None)
    engine.clock, engine.sleep = clock, clock.sleep
    _, usage = answers_of(engine, [text_request(number) for number in range(30)])
    assert usage.failures == {"api_failed": 1}
    assert len([at for at in sent if at < 30]) <= 5 + 2


def test_waiting_for_a_place_takes_nothing_from_the_retry_window():
    clock = Clock()
    tries: Counter[str] = Counter()

    async def complete(messages, params, schema):
        tries[messages[0]["content"]] += 1
        await clock.sleep(10)
        if tries[messages[0]["content"]] == 1:
            raise CallFailedError(FailureKind.TRANSIENT, "x")
        return Completion("good")

    policy = RetryPolicy(base_s=0.0, total_s=15.0, first_contact_s=0.0)
    engine = scripted_engine(complete, policy, max_concurrency=1, cache_path=None)
    engine.clock, engine.sleep = clock, clock.sleep
    _, usage = answers_of(engine, [text_request("t", num_candidates=8)])
    assert (usage.calls, usage.retries) == (9, 1)
    _, usage = answers_of(engine, [text_request(number) for number in range(8)])
    assert (usage.answered, usage.retries, usage.failures) == (8, 8, {})


def test_a_slow_source_does_not_hold_up_answers_and_never_runs_beside_an_outcome():
    answered = threading.Event()
    busy = threading.Lock()
    threads: set[int] = set()
    calls = 0

    async def complete(messages, params, schema):
        nonlocal calls
        await asyncio.sleep(0.01)
        calls += 1
        if calls == 3:
            answered.set()
        return Completion("good")

    def alone():
        threads.add(threading.get_ident())
        assert busy.acquire(blocking=False)
        busy.release()

    def source():
        for number in range(12):
            with busy:
                threads.add(threading.get_ident())
                # The fourth request is found only after the answers to the first three have come.
                assert number != 3 or answered.wait(60)
            yield text_request(number)

    outcomes = []

    def note(outcome):
        alone()
        outcomes.append(outcome)

    scripted_engine(complete, max_concurrency=4, cache_path=None).run(source(), note)
    assert len(outcomes) == 12
    assert len(threads) == 1


def test_without_key_and_server_nothing_is_tried():
    engine = engine_for("http://127.0.0.1:1/v1", model_params={"base_url": None})
    with pytest.raises(LLMUnavailableError, match="OPENAI_API_KEY"):
        answers_of(engine, merge_requests(3))


def test_after_a_first_success_a_refused_key_costs_only_its_request():
    async def complete(messages, params, schema):
        if "bad" in messages[0]["content"]:
            raise CallFailedError(FailureKind.UNAUTHORIZED, "HTTP 401: x", status=401)
        return Completion("good")

    engine = scripted_engine(complete, max_concurrency=1, cache_path=None)
    outcomes, _ = answers_of(engine, [text_request(1), text_request("bad"), text_request(2)])
    assert outcomes["bad"].error is FailureReason.API_FAILED
    assert outcomes[2].answers == ("good",)


def test_too_large_a_share_of_failures_stops_the_run_after_twenty():
    def answer(body):
        # In other words each time: as far as anybody knows, it is about each request.
        return error(400, f"temperature is not supported (request {'x' * len(server.requests)})")

    with FakeLLMServer(answer) as server:
        outcomes = []
        with pytest.raises(TooManyFailuresError) as caught:
            engine_for(server, max_concurrency=2).run(merge_requests(500), outcomes.append)
        assert 20 <= len(outcomes) <= 20 + 2 * 2
    text = str(caught.value)
    assert re.match(r"(2\d) of \1 requests", text)
    assert "api_failed: 2" in text
    assert "temperature is not supported" in text
    assert "cache" in text


def test_the_bound_is_a_share_and_few_requests_stop_only_when_all_fail():
    def answer(body):
        number = int(body["messages"][-1]["content"].split("Explain item ")[1].split(".")[0])
        return "nonsense" if number % 2 else merge_answer(body)

    with FakeLLMServer(answer) as server:
        _, usage = answers_of(engine_for(server, max_concurrency=1, max_failure_ratio=0.5), merge_requests(60))
        assert usage.failures == {"unparsable": 30}
        with pytest.raises(TooManyFailuresError):
            answers_of(engine_for(server, cache_path=None, max_failure_ratio=0.4), merge_requests(60))
        _, usage = answers_of(engine_for(server, cache_path=None, max_failure_ratio=0.4), merge_requests(10))
        assert usage.answered == 5
        with pytest.raises(TooManyFailuresError, match="1 of 1"):
            answers_of(engine_for(server), [merge_request(1)])
        answers_of(engine_for(server, max_failure_ratio=1), [merge_request(1)])


def test_what_came_before_the_stop_is_not_asked_again():
    def answer(body):
        return merge_answer(body) if len(server.requests) <= 10 else "nonsense"

    with FakeLLMServer(answer) as server:
        with pytest.raises(TooManyFailuresError):
            answers_of(engine_for(server, max_concurrency=1), merge_requests(100))
        server.answer = merge_answer
        _, usage = answers_of(engine_for(server, max_concurrency=1), merge_requests(12))
    assert usage.cache_hits == 10


@pytest.mark.parametrize("concurrency", [1, 16])
def test_the_budget_is_never_passed_and_is_no_failure(concurrency):
    async def complete(messages, params, schema):
        await asyncio.sleep(0)
        return Completion("good", prompt_tokens=60, completion_tokens=40)

    requests = [text_request(number, "x" * 300, completion_tokens=40) for number in range(100)]
    engine = scripted_engine(complete, max_concurrency=concurrency, max_total_tokens=1050, cache_path=None)
    outcomes, usage = answers_of(engine, requests)
    assert usage.total_tokens <= 1050
    assert usage.calls >= 8
    assert usage.failures == {"budget": 100 - usage.calls}
    assert Counter(outcome.error for outcome in outcomes.values())[FailureReason.BUDGET] == 100 - usage.calls
    _, again = answers_of(engine, [text_request("new", "x" * 2000)])
    assert (again.calls, again.failures) == (0, {"budget": 1})


def test_usage_far_above_the_estimate_is_learned_from_the_first_answer():
    reply = {"choices": [{"message": {"content": "good"}}], "usage": {"prompt_tokens": 900, "completion_tokens": 8000}}
    with FakeLLMServer(lambda body: Reply(payload=reply)) as server:
        requests = [text_request(number) for number in range(200)]
        engine = engine_for(server, max_concurrency=16, max_total_tokens=20_000)
        _, usage = answers_of(engine, requests)
        assert usage.total_tokens == 2 * 8900
        # Only a first answer that is larger than the whole budget can pass it, and it stays the only one.
        small = engine_for(server, max_concurrency=16, max_total_tokens=5_000, cache_path=None)
        _, usage = answers_of(small, requests)
    assert (usage.calls, usage.total_tokens) == (1, 8900)


@pytest.mark.parametrize("concurrency", [1, 16])
def test_calls_that_take_more_than_any_before_pass_the_budget_by_their_excess_and_nothing_follows(concurrency):
    sent = 0

    async def complete(messages, params, schema):
        nonlocal sent
        sent += 1
        await asyncio.sleep(0)
        return Completion("good", prompt_tokens=20, completion_tokens=20 if sent <= 20 else 1_000)

    engine = scripted_engine(complete, max_concurrency=concurrency, max_total_tokens=3_000, cache_path=None)
    _, usage = answers_of(engine, [text_request(number, "x" * 64, completion_tokens=20) for number in range(200)])
    assert usage.total_tokens <= 3_000 + concurrency * 1_000
    assert usage.failures["budget"] == 200 - usage.calls


def test_under_a_budget_answers_are_capped_at_their_reserve_unless_the_recipe_caps_them():
    async def greedy(messages, params, schema):
        caps.append(params.get("max_tokens"))
        await asyncio.sleep(0)
        return Completion("good", prompt_tokens=10, completion_tokens=caps[-1] or 1)

    requests = [text_request(number, completion_tokens=30) for number in range(100)]
    caps: list[int | None] = []
    engine = scripted_engine(greedy, max_concurrency=16, max_total_tokens=1_000, cache_path=None)
    _, usage = answers_of(engine, requests)
    assert 900 <= usage.total_tokens <= 1_000
    assert set(caps) == {60}
    caps.clear()
    engine = scripted_engine(
        greedy, sampling_params={"max_tokens": 90}, max_concurrency=16, max_total_tokens=1_000, cache_path=None
    )
    _, usage = answers_of(engine, requests)
    assert 850 <= usage.total_tokens <= 1_000
    assert set(caps) == {90}
    caps.clear()
    answers_of(scripted_engine(greedy, cache_path=None), requests[:3])
    assert set(caps) == {None}


def test_an_answer_that_the_cap_cut_off_is_asked_again_with_more_room():
    caps: list[int] = []

    async def complete(messages, params, schema):
        caps.append(params["max_tokens"])
        problem = FailureReason.TRUNCATED if len(caps) < 3 else None
        return Completion("good", prompt_tokens=10, completion_tokens=caps[-1], problem=problem)

    engine = scripted_engine(complete, max_total_tokens=10_000, cache_path=None)
    outcomes, _ = answers_of(engine, [text_request(1, completion_tokens=10)])
    assert outcomes[1].answers == ("good",)
    assert caps == [20, 40, 80]


def test_calls_that_are_lost_count_against_the_budget():
    sent = 0

    async def complete(messages, params, schema):
        nonlocal sent
        sent += 1
        if sent % 2:
            return Completion("good", prompt_tokens=100, completion_tokens=1)
        raise CallFailedError(FailureKind.TRANSIENT, "no complete answer within timeout_s")

    engine = scripted_engine(complete, RetryPolicy(attempts=1), max_concurrency=1, max_total_tokens=1_010)
    _, usage = answers_of(engine, [text_request(number, "x" * 385, completion_tokens=1) for number in range(50)])
    assert usage.lost_prompt_tokens > 300
    assert 800 <= usage.total_tokens + usage.lost_prompt_tokens <= 1_010
    _, again = answers_of(engine, [text_request("new", "x" * 385)])
    assert again.failures == {"budget": 1}


def test_answers_from_the_journal_take_nothing_from_the_budget():
    with FakeLLMServer(lambda body: Reply(merge_answer(body), usage=(1, 1))) as server:
        answers_of(engine_for(server), merge_requests(5))
        _, usage = answers_of(engine_for(server, max_total_tokens=1), merge_requests(6))
    assert (usage.cache_hits, usage.failures) == (5, {"budget": 1})


def test_tokens_a_server_does_not_report_are_estimated():
    with FakeLLMServer(lambda body: Reply(merge_answer(body), usage=None)) as server:
        _, usage = answers_of(engine_for(server), merge_requests(3))
    assert usage.estimated_calls == 3
    assert usage.prompt_tokens > 300
    assert usage.completion_tokens > 30


def test_candidates_are_answers_of_their_own_and_come_in_order():
    async def complete(messages, params, schema):
        await asyncio.sleep(0.01 * (3 - params["seed"]))
        if params["seed"] == 1:
            raise CallFailedError(FailureKind.BAD_REQUEST, "x", status=400)
        return Completion(f"answer {params['seed']}")

    engine = scripted_engine(complete, sampling_params={"seed": 0}, max_concurrency=8)
    outcomes, usage = answers_of(engine, [text_request("t", num_candidates=3)])
    assert outcomes["t"].answers == ("answer 0", "answer 2")
    assert outcomes["t"].error is None
    assert usage.calls == 3
    _, usage = answers_of(engine, [text_request("t", num_candidates=3)])
    assert (usage.calls, usage.cache_hits) == (1, 2)


def test_a_429_pauses_the_whole_stage():
    """While one request waits for its Retry-After, no other is sent."""
    clock = Clock()
    sent: list[tuple[float, str]] = []

    async def complete(messages, params, schema):
        sent.append((clock.now, messages[0]["content"]))
        if len(sent) == 5:
            raise CallFailedError(FailureKind.RATE_LIMITED, "HTTP 429", status=429, retry_after=30.0)
        await asyncio.sleep(0)
        return Completion("good")

    engine = scripted_engine(complete, RetryPolicy(), max_concurrency=4, cache_path=None)
    engine.clock, engine.sleep = clock, clock.sleep
    outcomes, usage = answers_of(engine, [text_request(number) for number in range(40)])
    assert usage.retries == 1
    assert all(outcome.answers == ("good",) for outcome in outcomes.values())
    before = [at for at, _ in sent if at < 30]
    # The refused call, and those that were already under way.
    assert len(before) <= 5 + 4
    assert len(sent) == 41
    assert clock.now >= 30


def test_a_text_that_is_not_unicode_is_never_sent():
    with FakeLLMServer() as server:
        outcomes, usage = answers_of(engine_for(server), [text_request("bad", "\ud800"), merge_request(1)])
        assert len(server.requests) == 1
    assert outcomes["bad"].error is FailureReason.UNENCODABLE
    assert usage.answered == 1


@pytest.mark.parametrize("where", ["parse", "on_outcome", "requests", "backend"])
def test_a_mistake_in_a_program_stops_the_run_and_leaves_no_task(where):
    async def complete(messages, params, schema):
        await asyncio.sleep(0)
        return 1 / 0 if where == "backend" else Completion("good")

    def parse(text):
        return 1 / 0 if where == "parse" else text

    def source():
        for number in range(50):
            if where == "requests" and number == 9:
                1 / 0  # noqa: B018
            yield text_request(number, parse=parse, num_candidates=2)

    def note(outcome):
        if where == "on_outcome":
            1 / 0  # noqa: B018

    engine = scripted_engine(complete, max_concurrency=4, cache_path=None)
    with pytest.raises(ZeroDivisionError):
        engine.run(source(), note)


def test_the_engine_travels_between_processes_and_remembers_what_it_spent():
    with FakeLLMServer(lambda body: Reply(merge_answer(body), usage=(10, 10))) as server:
        engine = pickle.loads(pickle.dumps(engine_for(server)))
        answers_of(engine, merge_requests(3))
        again = pickle.loads(pickle.dumps(engine))
        assert again.total.calls == 3
        assert again.proven
        answers_of(again, merge_requests(4))
        assert again.total.calls == 4
        assert again.total.total_tokens == 80
        assert again.model == "m"


def test_it_runs_inside_a_running_loop_and_in_any_thread():
    with FakeLLMServer() as server:

        async def notebook():
            return answers_of(engine_for(server), merge_requests(3))

        outcomes, _ = asyncio.run(notebook())
        assert len(outcomes) == 3

        async def failing():
            with pytest.raises(LLMUnavailableError):
                answers_of(engine_for("http://127.0.0.1:1/v1"), merge_requests(3))

        asyncio.run(failing())
        results = []
        thread = threading.Thread(target=lambda: results.append(answers_of(engine_for(server), merge_requests(4))))
        thread.start()
        thread.join()
        assert len(results[0][0]) == 4


def test_a_plan_makes_no_call_and_needs_neither_key_nor_server(tmp_path):
    file = tmp_path / "a.db"
    engine = engine_for("http://127.0.0.1:1/v1", cache_path=str(file))
    plan = engine.plan(merge_requests(5, num_candidates=2))
    assert plan["requests"] == 5
    assert (plan["calls"], plan["cache_hits"]) == (10, 0)
    assert plan["prompt_tokens"] > 10 * 300
    assert plan["completion_tokens"] > 100
    assert not file.exists()


def test_a_plan_knows_the_journal_and_foretells_the_calls():
    with FakeLLMServer() as server:
        answers_of(engine_for(server), merge_requests(4))
        engine = engine_for(server)
        twice = [*merge_requests(7), merge_request(6)]
        plan = engine.plan(iter(twice))
        calls = len(server.requests)
        usage = engine.run(iter(twice), lambda outcome: None)
    assert (plan["calls"], plan["cache_hits"]) == (3, 5)
    assert calls == 4
    assert (usage.calls, usage.cache_hits) == (3, 5)


def test_a_plan_tells_what_the_journal_settles_answers_and_failures():
    def parse(text):
        if text == "wrong":
            raise ReplyError(FailureReason.ECHO, "Not that.")
        return text.upper()

    requests = [LLMRequest(name, ({"role": "user", "content": name},), parse) for name in ("good", "wrong", "new")]
    with FakeLLMServer(lambda body: body["messages"][0]["content"]) as server:
        answers_of(engine_for(server, try_num=2, max_failure_ratio=1.0), requests[:2])
        told = []
        plan = engine_for(server, try_num=2).plan(requests, told.append)
    assert (plan["calls"], plan["cache_hits"]) == (1, 2)
    assert told == [LLMOutcome("good", ("GOOD",)), LLMOutcome("wrong", (), FailureReason.ECHO)]


def test_the_estimate_is_near_what_a_counter_of_four_characters_reports():
    with FakeLLMServer() as server:
        engine = engine_for(server)
        plan = engine.plan(merge_requests(20))
        _, usage = answers_of(engine, merge_requests(20))
    assert plan["prompt_tokens"] == pytest.approx(usage.prompt_tokens, rel=0.25)


def test_max_tokens_bounds_the_expected_completion():
    engine = engine_for("http://127.0.0.1:1/v1", sampling_params={"max_tokens": 7})
    assert engine.plan(merge_requests(3))["completion_tokens"] == 21


def test_a_stored_answer_that_no_longer_parses_is_asked_again_and_replaced():
    def strict(text):
        if text == "old":
            raise ReplyError(FailureReason.UNPARSABLE)
        return text

    replies = iter(["old", "new"])
    with FakeLLMServer(lambda body: next(replies)) as server:
        answers_of(engine_for(server), [text_request(1)])
        assert engine_for(server).plan([text_request(1, parse=strict)])["calls"] == 1
        outcomes, _ = answers_of(engine_for(server), [text_request(1, parse=strict)])
        assert outcomes[1].answers == ("new",)
        outcomes, usage = answers_of(engine_for(server), [text_request(1, parse=strict)])
        assert (outcomes[1].answers, usage.calls) == (("new",), 0)


CHILD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run with it ignored
from tests.llm.conftest import engine_for, merge_requests
engine = engine_for(sys.argv[1], cache_path=sys.argv[2], max_concurrency=4)
engine.run(merge_requests(400), lambda outcome: print("o", flush=True))
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_stopped_process_pays_again_only_for_what_was_in_flight(sent, tmp_path):
    file = str(tmp_path / "a.db")
    with FakeLLMServer(latency_s=0.02) as server:
        command = [sys.executable, "-c", CHILD, server.base_url, file]
        root = Path(__file__).parents[2]
        child = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert child.stdout is not None
        for _ in range(20):
            child.stdout.readline()
        child.send_signal(sent)
        assert child.wait(timeout=60) != 0
        child.stdout.close()
        asked = len(server.requests)
        assert asked < 400
        server.latency_s = 0.0
        _, usage = answers_of(engine_for(server, cache_path=file), merge_requests(400))
    assert usage.answered == 400
    assert usage.cache_hits >= 20
    assert asked + usage.calls - 400 <= 4


def bounded(number, max_tokens):
    return replace(merge_request(number), max_tokens=max_tokens)


@pytest.mark.parametrize(
    ("own", "sent"),
    [
        ({}, {"max_tokens": 40}),
        ({"max_tokens": 30}, {"max_tokens": 30}),
        ({"max_tokens": 100}, {"max_tokens": 40}),
        ({"max_completion_tokens": 100}, {"max_completion_tokens": 40}),
        ({"extra_body": {"max_completion_tokens": 100}}, {"max_completion_tokens": 40}),
    ],
    ids=str,
)
def test_a_request_bounds_its_answer_unless_the_recipe_bounds_it_lower(own, sent):
    with FakeLLMServer() as server:
        answers_of(engine_for(server, sampling_params=own), [bounded(1, 40)])
        (body,) = server.requests
        assert {name: value for name, value in body.items() if name.startswith("max_")} == sent
        # The bound is no part of the question: an answer in the journal is good under any.
        _, usage = answers_of(engine_for(server, sampling_params=own), [bounded(1, 99)])
    assert usage.calls == 0


def test_an_answer_that_was_cut_off_may_be_twice_as_long_the_next_time():
    def answer(body):
        if body["max_tokens"] < 100:
            return Reply('{"instruction": "Explain', finish_reason="length")
        return merge_answer(body)

    with FakeLLMServer(answer) as server:
        outcomes, _ = answers_of(engine_for(server), [bounded(1, 30)])
        assert [body["max_tokens"] for body in server.requests] == [30, 60, 120]
    assert outcomes[1].answers


@pytest.mark.parametrize("warm_up", [True, False])
def test_warm_up_lets_the_first_answer_arrive_before_anything_else_is_sent(warm_up):
    arrivals: list[float] = []
    policy = RetryPolicy(refusal_s=0.01)

    def answer(body):
        arrivals.append(time.monotonic())
        return Reply(merge_answer(body), latency_s=0.7 if len(arrivals) == 1 else 0.0)

    with FakeLLMServer(answer) as server:
        engine_for(server, policy, warm_up=warm_up, max_concurrency=8).run(merge_requests(20), lambda outcome: None)
    assert len(arrivals) == 20
    assert (arrivals[1] - arrivals[0] >= 0.7) is warm_up


def test_a_slow_first_answer_is_no_dead_server():
    """A server that reads its first prompt for longer than a call may take answers the next try."""

    def answer(body):
        return Reply(merge_answer(body), latency_s=0.9 if len(server.requests) <= 2 else 0.0)

    with FakeLLMServer(answer) as server:
        policy = RetryPolicy(refusal_s=0.01, first_contact_s=0.01)
        _, usage = answers_of(engine_for(server, policy, timeout_s=0.6, max_concurrency=1), merge_requests(5))
    assert usage.answered == 5
