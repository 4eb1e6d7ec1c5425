"""Responses that are no answers: redirects, streams, web pages, and bodies without end."""

from __future__ import annotations

import asyncio
import itertools
import json
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.llm.connection import open_connection
from mergeit_ops.llm.failures import CallFailedError, FailureKind
from tests.llm.conftest import answers_of, engine_for, merge_requests
from tests.llm.raw_server import RawServer, response
from tests.llm_server import FakeLLMServer, Reply

MIB = 2**20
GOOD = json.dumps({"choices": [{"message": {"content": "fine"}}]}).encode()
CAP = {"max_tokens": 100}


@pytest.fixture(params=["fast client", "default client"], autouse=True)
def http_client(request, monkeypatch):
    """Both HTTP clients of the openai package."""
    if request.param == "default client":
        monkeypatch.delattr("openai.DefaultAioHttpClient")


def post(url: str, sampling_params: dict[str, Any] | None = None, times: int = 1) -> list[object]:
    async def scenario() -> list[object]:
        connection = open_connection({"base_url": url}, 20.0, sampling_params=sampling_params)
        try:
            return [await connection.post("/chat/completions", {"model": "m"}) for _ in range(times)]
        finally:
            await connection.aclose()

    return asyncio.run(scenario())


def chunked(pieces: Iterator[bytes], **headers: str) -> Iterator[bytes]:
    yield response(b"", Content_Length="", Transfer_Encoding="chunked", **headers)
    for piece in pieces:
        yield b"%x\r\n" % len(piece) + piece + b"\r\n"


def bomb(window_bits: int) -> Iterator[bytes]:
    """Compressed blanks without end: a thousandth of their size."""
    packer = zlib.compressobj(9, zlib.DEFLATED, window_bits)
    for _ in itertools.count():
        yield packer.compress(b" " * MIB) + packer.flush(zlib.Z_SYNC_FLUSH)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_not_followed_and_says_where_it_leads(status, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-one-host")
    with RawServer(response(GOOD)) as other:
        place = f"http://127.0.0.1:{other.port}/v2"
        moved = response(b"", status, Location=f"http://me:pw@127.0.0.1:{other.port}/v2/chat/completions?token=t#t")
        with RawServer(moved) as server, pytest.raises(LLMUnavailableError) as caught:
            post(server.base_url)
        assert len(server.requests) == 1
        assert other.requests == []
    text = str(caught.value)
    assert f"{place}/chat/completions" in text
    assert text.endswith(f"perhaps {place}.")
    assert "base_url" in text
    assert status[:3] in text
    assert not {"pw", "token"} & set(text.replace("@", " ").replace("?", " ").replace("=", " ").split())


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("/login?next=/v1", "/login"),
        ("//elsewhere.example/v1/chat/completions", "http://elsewhere.example/v1"),
        ("https://elsewhere.example/v1/chat/completions", "https://elsewhere.example/v1"),
        ("", "nowhere"),
        ("http://[", "to "),
    ],
)
def test_a_redirect_may_point_anywhere(location, shown):
    with (
        RawServer(response(b"", "302 Found", Location=location)) as server,
        pytest.raises(LLMUnavailableError) as caught,
    ):
        post(server.base_url)
    assert shown in str(caught.value)
    assert "next" not in str(caught.value)


def test_a_redirect_among_answers_costs_one_request():
    replies = iter([Reply("fine"), Reply(status=302, headers={"Location": "/x"}, payload=b"")])
    with FakeLLMServer(lambda body: next(replies)) as server, pytest.raises(CallFailedError) as caught:
        post(server.base_url, times=2)
    assert caught.value.kind is FailureKind.UNUSABLE
    assert "/x" in caught.value.detail
    assert "set base_url in model_params" in caught.value.detail


def test_a_stream_among_answers_keeps_its_cure():
    stream = Reply(headers={"Content-Type": "text/event-stream"}, payload=b"data: {}\n\n")
    replies = iter([Reply("fine"), stream])
    with (
        FakeLLMServer(lambda body: next(replies)) as server,
        pytest.raises(CallFailedError, match="turn streaming off"),
    ):
        post(server.base_url, times=2)


@pytest.mark.parametrize("status", ["304 Not Modified", "300 Choices", "399 What"])
def test_what_is_no_redirect_is_not_called_one(status):
    with RawServer(response(b"", status)) as server, pytest.raises(LLMUnavailableError) as caught:
        post(server.base_url)
    assert f"answers with HTTP {status[:3]}, which is neither an answer nor a redirect" in str(caught.value)


@pytest.mark.parametrize("kind", ["text/event-stream", "text/event-stream; charset=utf-8", "application/x-ndjson"])
def test_a_stream_of_events_is_refused_before_it_is_read(kind):
    endless = chunked((b"data: {}\n\n" for _ in itertools.count()), Content_Type=kind)
    with RawServer(endless) as server, pytest.raises(LLMUnavailableError, match=r"streams its answers.*streaming off"):
        post(server.base_url)


@pytest.mark.parametrize("body", [b'data: {"choices": []}\n\ndata: [DONE]\n\n', b": ping\n\n", b'{"a": 1}\n{"a": 2}\n'])
@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
def test_a_stream_that_does_not_say_so_is_told_by_its_look(body, kind):
    with RawServer(response(body, Content_Type=kind)) as server, pytest.raises(CallFailedError, match="streams"):
        post(server.base_url)


PAGES = [
    b"<!DOCTYPE html><html><head><title>Sign in &amp; go\n on</title></head><body>" + b"x" * 5000,
    b"\n<!-- a --> <!-- b -->\n<HTML><HEAD><TITLE>Sign in &amp; go on</TITLE>",
    b"<html><body><h1>Sign in &amp; <b>go</b> on</h1>",
]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("kind", ["text/html", "text/html; charset=iso-8859-1", "application/json", ""])
def test_a_web_page_in_place_of_an_answer_is_named_by_its_title(page, kind):
    with RawServer(response(page, Content_Type=kind)) as server, pytest.raises(CallFailedError) as caught:
        post(server.base_url)
    assert "HTML page titled 'Sign in & go on'" in caught.value.detail
    assert "<" not in caught.value.detail


@pytest.mark.parametrize("status", ["400 Bad", "401 No", "403 No", "404 No", "429 No", "500 Bad", "502 Bad", "503 Bad"])
def test_a_web_page_as_an_error_is_named_by_its_title(status):
    page = b"<html><title>Gateway of the company</title>" + b"<p>text" * 100
    with (
        RawServer(response(page, status, Content_Type="text/html")) as server,
        pytest.raises(CallFailedError) as caught,
    ):
        post(server.base_url)
    assert caught.value.detail == f"HTTP {status[:3]}: an HTML page titled 'Gateway of the company'"
    assert caught.value.status == int(status[:3])


def test_pages_made_to_be_slow_to_read_are_not():
    for body in (b"<!-- a -->" * 2000, b"<!--" * 5000, b"<html>" + b"<h1>" * 5000, b"<title" * 5000, b"{\n" * 9000):
        with RawServer(response(body, Content_Type="text/html")) as server, pytest.raises(CallFailedError):
            post(server.base_url)


@pytest.mark.parametrize("headers", [{}, {"Content_Type": "text/plain"}])
def test_a_body_without_end_is_not_read_to_its_end(headers):
    endless = chunked((b" " * 65536 for _ in itertools.count()), **headers)
    with RawServer(endless) as server, pytest.raises(CallFailedError, match="larger than 4 MiB") as caught:
        post(server.base_url, CAP)
    assert caught.value.kind is FailureKind.UNUSABLE
    assert not caught.value.kind.retryable
    # What is on its way in the buffers of both ends.
    assert server.sent < 20 * MIB


@pytest.mark.parametrize("status", ["200 OK", "400 Bad", "500 Bad"])
def test_a_length_beyond_all_answers_is_not_believed(status):
    head = response(b"", status, Content_Length=str(10**12))
    endless = itertools.chain([head], (b" " * 65536 for _ in itertools.count()))
    with RawServer(endless) as server, pytest.raises(CallFailedError, match="larger than 4 MiB"):
        post(server.base_url, CAP)
    assert server.sent < 20 * MIB


@pytest.mark.parametrize(("encoding", "window_bits"), [("gzip", 31), ("deflate", 15)])
def test_what_a_body_unfolds_to_is_bounded(encoding, window_bits):
    tracemalloc.start()
    try:
        with RawServer(chunked(bomb(window_bits), Content_Encoding=encoding)) as server:
            with pytest.raises(CallFailedError, match="larger than 4 MiB"):
                post(server.base_url, CAP)
            assert server.sent < 4 * MIB
        assert tracemalloc.get_traced_memory()[1] < 48 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("encoding", "window_bits"), [("gzip", 31), ("deflate", 15), ("", 0)])
def test_a_compressed_answer_is_read(encoding, window_bits):
    packer = zlib.compressobj(wbits=window_bits) if encoding else None
    body = packer.compress(GOOD) + packer.flush() if packer else GOOD
    headers = {"Content_Encoding": encoding}
    for reply in (response(body, **headers), [*chunked(iter([body]), **headers), b"0\r\n\r\n"]):
        with RawServer(reply) as server:
            assert post(server.base_url, CAP, times=2) == [json.loads(GOOD)] * 2


def test_a_body_that_is_not_what_it_says_is_worth_another_attempt():
    with RawServer(response(GOOD, Content_Encoding="gzip")) as server, pytest.raises(CallFailedError) as caught:
        post(server.base_url)
    assert caught.value.kind is FailureKind.TRANSIENT


def test_an_answer_as_large_as_its_cap_allows_is_read():
    text = "\\u4f60" * 200_000
    body = b'{"choices": [{"message": {"content": "' + text.encode() + b'"}}]}'
    with RawServer(response(body)) as server:
        (payload,) = post(server.base_url, CAP)
    assert len(payload["choices"][0]["message"]["content"]) == 200_000


def test_a_run_survives_answers_that_are_too_large():
    def answer(body: dict[str, Any]) -> str | Reply:
        if "item 3" in body["messages"][-1]["content"]:
            return Reply(payload=b" " * (5 * MIB))
        return whole(body)

    with FakeLLMServer() as server:
        whole, server.answer = server.answer, answer
        outcomes, usage = answers_of(engine_for(server, sampling_params=CAP), merge_requests(9))
        assert [tag for tag, outcome in sorted(outcomes.items()) if outcome.error] == [3]
        assert usage.failures == {"api_failed": 1}
        assert len(server.requests) == 9
        assert usage.lost_prompt_tokens > 0


@pytest.mark.parametrize(
    ("reply", "word", "most"),
    [
        (Reply(status=307, headers={"Location": "https://elsewhere.example/v1/chat/completions"}, payload=b""),
         "perhaps https://elsewhere.example/v1", 1),
        (Reply(headers={"Content-Type": "text/event-stream"}, payload=b"data: {}\n\n"), "streaming off", 1),
        (Reply(headers={"Content-Type": "text/html"}, payload=PAGES[0]), "HTML page titled", 3),
        (Reply(payload=b" " * (5 * MIB)), "larger than 4 MiB", 2),
    ],
    ids=["redirect", "stream", "login page", "too large"],
)  # fmt: skip
def test_a_run_that_gets_nothing_else_stops_soon(reply, word, most):
    with FakeLLMServer(lambda body: reply) as server, pytest.raises(LLMUnavailableError, match=word) as caught:
        answers_of(engine_for(server, sampling_params=CAP, max_concurrency=1), merge_requests(50))
    assert len(server.requests) <= most
    assert "base_url" in str(caught.value) or word == "streaming off"
