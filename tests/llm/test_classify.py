"""Failures are told apart by type and status; waiting times are read in every form."""

from __future__ import annotations

import asyncio
import email.utils
import socket
import time
from types import SimpleNamespace

import openai
import pytest

from mergeit_ops.llm.classify import classify, retry_after_s
from mergeit_ops.llm.client import OpenAICompatibleFactory
from mergeit_ops.llm.failures import CallFailedError, FailureKind, shorten
from mergeit_ops.llm.masking import masking, unmasked
from tests.llm_server import FakeLLMServer, Reply, error

MESSAGES = [{"role": "user", "content": "hi"}]


def failure_of(url: str, timeout_s: float = 5.0) -> CallFailedError:
    async def ask() -> None:
        client = OpenAICompatibleFactory("m", model_params={"base_url": url}, timeout_s=timeout_s).create(1)
        try:
            await client.complete(MESSAGES, {})
        finally:
            await client.aclose()

    with pytest.raises(CallFailedError) as caught:
        asyncio.run(ask())
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind", "retryable", "fatal"),
    [
        (400, "bad_request", False, False),
        (401, "unauthorized", False, True),
        (402, "no_credit", False, True),
        (403, "forbidden", False, False),
        (404, "not_found", False, True),
        (408, "transient", True, False),
        (409, "transient", True, False),
        (413, "too_long", False, False),
        (422, "bad_request", False, False),
        (429, "rate_limited", True, False),
        (500, "transient", True, False),
        (502, "transient", True, False),
        (503, "transient", True, False),
    ],
)
def test_status_decides_whatever_the_text_says(status, kind, retryable, fatal):
    # The text names other failures on purpose.
    with FakeLLMServer(lambda body: error(status, "rate limit 429 timeout unauthorized 500")) as server:
        failure = failure_of(server.base_url)
    assert (failure.kind.value, failure.kind.retryable, failure.kind.fatal) == (kind, retryable, fatal)
    assert failure.status == status
    assert "unauthorized 500" in failure.detail


def test_used_up_credit_is_told_from_a_rate_limit_by_its_code():
    with FakeLLMServer(lambda body: error(429, "x", code="insufficient_quota")) as server:
        assert failure_of(server.base_url).kind is FailureKind.NO_CREDIT


@pytest.mark.parametrize(("header", "expected"), [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("soon", None), (None, None)])
def test_retry_after_travels_with_the_failure(header, expected):
    with FakeLLMServer(lambda body: error(429, retry_after=header)) as server:
        assert failure_of(server.base_url).retry_after == expected


def test_retry_after_as_a_date_and_in_milliseconds():
    date = email.utils.formatdate(1_000_090, usegmt=True)
    assert retry_after_s({"retry-after": date}, now=1_000_000.0) == 90.0
    assert retry_after_s({"retry-after": date}, now=2_000_000.0) == 0.0
    assert retry_after_s({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    assert retry_after_s({"retry-after-ms": "0", "retry-after": "9"}) == 9.0
    assert retry_after_s({"retry-after-ms": "-5", "retry-after": "9"}) == 9.0
    assert retry_after_s({"retry-after-ms": "soon", "retry-after": "9"}) == 9.0
    assert retry_after_s({"retry-after-ms": "0"}) is None
    assert retry_after_s({"retry-after": "nan"}) is None
    assert retry_after_s({"retry-after": "inf"}) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *[("60s", 60.0), ("1m", 60.0), ("1m30s", 90.0), ("1 min 30 sec", 90.0), ("2h", 7200.0), ("500ms", 0.5)],
        *[
            ("30, 30", 30.0),
            ("30,60", 60.0),
            ("1e308", 1e308),
            ("0", 0.0),
            ("60 apples", None),
            ("m", None),
            ("", None),
        ],
        *[("1.5 seconds", 1.5), ("1d", 86400.0), ("1 month", None)],
    ],
)
def test_a_wait_is_read_in_every_form(header, seconds):
    assert retry_after_s({"retry-after": header}) == seconds


@pytest.mark.parametrize(
    "date",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
)
def test_all_three_dates_of_http_are_in_gmt_wherever_the_machine_stands(date, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert retry_after_s({"retry-after": date}, now=784_111_777.0 - 90) == 90.0
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "date", ["Fri, 31 Dec 99999 23:59:59 GMT", f"Fri, 31 Dec 2026 00:00:00 +{'9' * 20}", "Mon, 01 Jan 0001 00:00:00"]
)
def test_a_date_that_no_calendar_has_stops_nothing(date):
    assert retry_after_s({"retry-after": date}) in (None, 0.0)


def test_an_error_in_many_layers_is_a_failed_call_like_any_other():
    """Some depths can be decoded and not be shown."""
    layers: list[object] = []
    for _ in range(100_000):
        layers = [layers]
    response = SimpleNamespace(request=None, status_code=400, headers={}, text="")
    for body in (layers, {"error": layers}, {"error": {"message": layers}}):
        failure = classify(openai.BadRequestError("x", response=response, body=body), unmasked)
        assert failure is not None
        assert failure.kind is FailureKind.BAD_REQUEST


@pytest.mark.parametrize(
    ("reported", "kind", "status"),
    [
        ({"code": 429}, "rate_limited", 429),
        ({"code": "429"}, "rate_limited", 429),
        ({"status": 401}, "unauthorized", 401),
        ({"code": 400}, "bad_request", 400),
        ({"code": 502}, "transient", 502),
        ({"code": "rate_limit_exceeded"}, "rate_limited", None),
        ({"code": "insufficient_quota"}, "no_credit", None),
        ({"code": True}, "transient", None),
        ({}, "transient", None),
    ],
)
def test_an_error_in_a_good_response_is_a_failed_call(reported, kind, status):
    reply = Reply(payload={"error": {"message": "provider is out", **reported}})
    with FakeLLMServer(lambda body: reply) as server:
        failure = failure_of(server.base_url)
    assert (failure.kind.value, failure.status) == (kind, status)
    assert "provider is out" in failure.detail


@pytest.mark.parametrize(
    "reply",
    [
        Reply(payload=b"[" * 200_000),
        Reply(payload=b'{"choices": [], "x": ' + b"1" * 5_000 + b"}"),
        Reply(drop=True),
        Reply(payload=b"{'not json"),
        Reply(payload=b"<html>hello</html>", headers={"Content-Type": "text/html"}),
        Reply(payload=b"\xff\xfe{"),
    ],
)
def test_lost_and_garbled_responses_are_transient(reply):
    with FakeLLMServer(lambda body: reply) as server:
        assert failure_of(server.base_url).kind is FailureKind.TRANSIENT


def test_a_slow_answer_is_transient():
    with FakeLLMServer(latency_s=5) as server:
        assert failure_of(server.base_url, timeout_s=0.05).kind is FailureKind.TRANSIENT


def test_nobody_listening_is_unreachable():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert failure_of(f"http://127.0.0.1:{port}/v1").kind is FailureKind.UNREACHABLE


def test_json_in_a_text_response_is_read():
    content = b'{"choices": [{"message": {"content": "ok"}}]}'
    reply = Reply(payload=content, headers={"Content-Type": "text/plain"})

    async def ask(url: str) -> str:
        client = OpenAICompatibleFactory("m", model_params={"base_url": url}).create(1)
        completion = await client.complete(MESSAGES, {})
        await client.aclose()
        return completion.text

    with FakeLLMServer(lambda body: reply) as server:
        assert asyncio.run(ask(server.base_url)) == "ok"


def test_mistakes_in_a_program_are_no_failed_calls():
    assert classify(TypeError("timeout 429"), unmasked) is None
    assert classify(asyncio.TimeoutError(), unmasked).kind is FailureKind.TRANSIENT


def test_details_are_one_short_line_without_keys():
    text = shorten("bad\nkey sk-abcdef123456 and own-key\t" + "x" * 1000, mask=masking(["own-key"]))
    assert text.startswith("bad key *** and *** xxx")
    assert len(text) == 300
