"""Retries of the whole engine over HTTP: who asks again, when, and how often. Time is a number: nobody waits."""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections import defaultdict
from typing import Any

import pytest

from mergeit_ops.llm.retry import RetryPolicy
from tests.llm.conftest import answers_of, engine_for, merge_requests
from tests.llm_server import FakeLLMServer, Reply, error, merge_answer


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)


def engine_with(clock: Clock, server: FakeLLMServer, **parameters: Any) -> Any:
    engine = engine_for(server, RetryPolicy(), **parameters)
    engine.clock, engine.sleep = clock, clock.sleep
    return engine


def in_form(form: str, seconds: int) -> dict[str, str]:
    """Return the header by which a server asks to wait."""
    at = time.gmtime(time.time() + seconds)
    return {
        "seconds": {"Retry-After": str(seconds)},
        "milliseconds": {"Retry-After-Ms": str(1000 * seconds)},
        "date": {"Retry-After": email.utils.formatdate(time.time() + seconds, usegmt=True)},
        "older date": {"Retry-After": time.strftime("%A, %d-%b-%y %H:%M:%S GMT", at)},
        "oldest date": {"Retry-After": time.strftime("%a %b %d %H:%M:%S %Y", at)},
    }[form]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "milliseconds", "date", "older date", "oldest date"])
def test_nobody_asks_before_the_time_that_the_server_names(status, form):
    clock = Clock()
    sent: list[float] = []

    def answer(body: dict[str, Any]) -> str | Reply:
        sent.append(clock.now)
        if len(sent) == 4:
            return Reply(status=status, headers=in_form(form, 90))
        return merge_answer(body)

    with FakeLLMServer(answer) as server:
        outcomes, usage = answers_of(engine_with(clock, server, max_concurrency=2), merge_requests(20))
    assert all(outcome.answers for outcome in outcomes.values())
    assert (len(sent), usage.calls, usage.retries) == (21, 21, 1)
    # The refused one, and the one that was under way beside it.
    assert len([at for at in sent if at < 88]) <= 4 + 1
    assert 88 <= clock.now <= 92


@pytest.mark.parametrize(
    ("reply", "attempts"),
    [
        (Reply(status=500, headers={"x-should-retry": "true"}), 6),
        (error(503), 6),
        (error(429), 6),
        (Reply(drop=True), 6),
        (Reply(payload=b"<html>"), 6),
        (error(503, retry_after="120"), 5),
        (error(429, retry_after="250"), 3),
        (error(400), 1),
        (error(401), 1),
        (error(404), 1),
    ],
    ids=["500", "503", "429", "dropped", "html", "503 for 120 s", "429 for 250 s", "400", "401", "404"],
)
def test_a_failed_call_is_made_again_by_one_layer_only_and_within_bounds(reply, attempts):
    """Each request that reaches the server is counted: were the client library to retry too, there would be more."""
    clock = Clock()
    sent: dict[str, list[float]] = defaultdict(list)

    def answer(body: dict[str, Any]) -> str | Reply:
        text = body["messages"][-1]["content"]
        sent[text].append(clock.now)
        return reply if "item 5." in text or "item 6." in text else merge_answer(body)

    with FakeLLMServer(answer) as server:
        engine = engine_with(clock, server, max_concurrency=1)
        _, usage = answers_of(engine, merge_requests(12))
    assert sorted(map(len, sent.values())) == [1] * 10 + [attempts] * 2
    assert (usage.failures, usage.answered) == ({"api_failed": 2}, 10)
    assert usage.calls == 10 + 2 * attempts
    # After two refusals of its rate, a request lets another go first: that one's pause is not its own.
    others_s = 250 if reply.headers.get("Retry-After") == "250" else 0
    assert all(times[-1] - times[0] <= engine.policy.total_s + others_s for times in sent.values())
    assert all(seconds < 30.1 or reply.headers for seconds in clock.slept)
