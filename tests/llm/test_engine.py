"""The engine: every request gets one outcome, nothing is asked twice, and a hopeless run stops soon."""

from __future__ import annotations

import asyncio
import json
import pickle
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from mergeit_ops.core.replies import FailureReason, ReplyError
from mergeit_ops.errors import LLMUnavailableError, TooManyFailuresError
from mergeit_ops.llm.backend import Completion
from mergeit_ops.llm.classify import CallFailedError, FailureKind
from mergeit_ops.llm.retry import RetryPolicy
from tests.llm.conftest import (
    answers_of,
    engine_for,
    merge_request,
    merge_requests,
    parents,
    scripted_engine,
    text_request,
)
from tests.llm_server import FakeLLMServer, Reply, error, merge_answer


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
    with FakeLLMServer(latency_s=0.01) as server:
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
        (error(400, "context length exceeded"), "api_failed"),
        (error(500), "api_failed"),
        (Reply(drop=True), "api_failed"),
        (Reply(payload=b"<html>"), "api_failed"),
    ],
)
def test_each_fault_ends_as_a_reason_code(reply, reason):
    def answer(body):
        return reply if "item 0." in body["messages"][-1]["content"] else merge_answer(body)

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
        _, usage = answers_of(engine_for(server), merge_requests(5))
        assert (usage.answered, usage.calls, usage.retries) == (5, 15, 10)
    with FakeLLMServer(lambda body: error(503)) as server:
        engine = engine_for(server, RetryPolicy(attempts=4, base_s=0.0), max_failure_ratio=1)
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
            engine_for(server, max_concurrency=4).run(merge_requests(1000), outcomes.append)
        assert len(server.requests) <= 8
    assert advice in str(caught.value)
    assert f"HTTP {status}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert outcomes == []
    assert caught.value.__context__ is None


def test_nobody_listening_stops_within_seconds():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = time.perf_counter()
    with pytest.raises(LLMUnavailableError, match=rf"127\.0\.0\.1:{port}.*start the server"):
        answers_of(engine_for(f"http://127.0.0.1:{port}/v1", RetryPolicy()), merge_requests(200))
    assert time.perf_counter() - start < 8


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
    with FakeLLMServer(lambda body: error(400, "temperature is not supported")) as server:
        outcomes = []
        with pytest.raises(TooManyFailuresError) as caught:
            engine_for(server, max_concurrency=2).run(merge_requests(500), outcomes.append)
        assert len(outcomes) == 20
    text = str(caught.value)
    assert "20 of 20" in text
    assert "api_failed: 20" in text
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

    class Clock:
        now = 0.0

        async def sleep(self, seconds):
            until = self.now + seconds
            await asyncio.sleep(0)
            self.now = max(self.now, until)

    clock = Clock()
    sent: list[tuple[float, str]] = []

    async def complete(messages, params, schema):
        sent.append((clock.now, messages[0]["content"]))
        if len(sent) == 5:
            raise CallFailedError(FailureKind.RATE_LIMITED, "HTTP 429", status=429, retry_after=30.0)
        await asyncio.sleep(0)
        return Completion("good")

    engine = scripted_engine(complete, RetryPolicy(), max_concurrency=4, cache_path=None)
    engine.clock, engine.sleep = (lambda: clock.now), clock.sleep
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
import sys
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
        assert child.wait(timeout=10) != 0
        child.stdout.close()
        asked = len(server.requests)
        assert asked < 400
        server.latency_s = 0.0
        _, usage = answers_of(engine_for(server, cache_path=file), merge_requests(400))
    assert usage.answered == 400
    assert usage.cache_hits >= 20
    assert asked + usage.calls - 400 <= 4
