"""Requests that go straight to aiohttp: the server sees what it sees of the openai package, and so does the caller."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mergeit_ops.llm.connection import Connection, open_connection
from mergeit_ops.llm.failures import CallFailedError, FailureKind
from tests.llm.raw_server import RawServer, response
from tests.llm_server import FakeLLMServer, Reply, error

OF_THE_WAY = {"host", "accept-encoding", "connection", "x-stainless-read-timeout"}
"""Headers that the HTTP library writes, or that tell how long the client waits."""

GOOD = b'{"choices": [{"message": {"content": "fine"}}]}'


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def opened(straight: bool, params: dict[str, Any], endpoint: str, timeout_s: float) -> Connection:
    with pytest.MonkeyPatch.context() as patch:
        if not straight:
            patch.delattr(openai, "DefaultAioHttpClient")
        connection = open_connection(params, timeout_s, endpoint=endpoint)
    assert (connection._straight is not None) == straight
    return connection


def posted(
    straight: bool,
    params: dict[str, Any],
    bodies: list[Any],
    endpoint: str = "/chat/completions",
    timeout_s: float = 10.0,
) -> list[object]:
    """Return what becomes of requests: the body of the response, or the failure in all its parts."""

    async def scenario() -> list[object]:
        connection = opened(straight, params, endpoint, timeout_s)
        found: list[object] = []
        try:
            for body in bodies:
                try:
                    found.append(await connection.post(endpoint, body))
                except CallFailedError as failure:
                    found.append((failure.kind, failure.detail, failure.status, failure.retry_after, failure.field))
                    found.append((failure.__cause__, failure.__context__))
                except Exception as stop:
                    found.append((type(stop), str(stop)))
        finally:
            await connection.aclose()
        return found

    return asyncio.run(scenario())


@pytest.mark.parametrize("endpoint", ["/chat/completions", "generate", "v2/a b?x=1"])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"default_headers": {"X-Own": "one", "Authorization": "Basic abc"}, "organization": "o", "project": "p"},
        {"default_query": {"api-version": "2024-10-21", "list": ["a", "b"], "deep": {"x": True}}},
        {"default_headers": {"User-Agent": "mine", "Accept": "*/*", "Cookie": "a=b"}},
    ],
    ids=["none", "headers", "query", "replaced headers"],
)
def test_a_server_sees_the_same_request(params, endpoint, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-the-server")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Of-Environment: two")
    body = {"model": "m", "messages": [{"role": "user", "content": 'ü 漢 "\n\u2028 \x7f 😀'}], "temperature": 0.25}
    seen = []
    for straight in (True, False):
        with FakeLLMServer() as server:
            posted(straight, {"base_url": server.base_url, **params}, [body, body], endpoint)
            headers = [{name: value for name, value in one.items() if name not in OF_THE_WAY} for one in server.headers]
            seen.append((server.paths, server.requests, headers))
    assert len(seen[0][0]) == 2
    assert seen[0] == seen[1]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(extra=st.dictionaries(st.text(), JSON, max_size=4))
def test_whatever_a_body_holds_arrives(extra):
    body = json.loads(json.dumps({**extra, "model": "m"}))
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    with FakeLLMServer(lambda body: "fine") as server:
        posted(True, {"base_url": server.base_url}, [{**body, "response_format": None}])
        assert server.requests == [{**body, "response_format": None}]


REPLIES = {
    "good": response(GOOD),
    "good as text": response(GOOD, Content_Type="text/plain"),
    "good without a type": response(GOOD, Content_Type=""),
    "good with a charset": response(GOOD, Content_Type="application/json; charset=utf-8"),
    "good in UTF-16": response(GOOD.decode().encode("utf-16")),
    "good with a mark of byte order": response(b"\xef\xbb\xbf" + GOOD),
    "another JSON type": response(GOOD, Content_Type="application/problem+json"),
    "compressed": response(gzip.compress(GOOD), Content_Encoding="gzip"),
    "compressed twice": response(gzip.compress(gzip.compress(GOOD)), Content_Encoding="gzip, gzip"),
    "compressed in an unknown way": response(GOOD, Content_Encoding="rot13"),
    "not compressed": response(GOOD, Content_Encoding="gzip"),
    "empty": response(b""),
    "nothing": response(b"", "204 No Content"),
    "created": response(GOOD, "201 Created"),
    "null": response(b"null"),
    "a number": response(b"7"),
    "a text": response(b'"a text"'),
    "a text of JSON": response(json.dumps(GOOD.decode()).encode()),
    "a list": response(b"[1, 2]"),
    "no choices": response(b'{"choices": []}'),
    "wrong types": response(b'{"choices": {"0": 5}, "usage": [1]}'),
    "an error in a good response": response(b'{"error": {"message": "out", "code": 429}}'),
    "cut off": response(b'{"choices": ['),
    "too deep": response(b"[" * 100_000),
    "a number without end": response(b'{"x": ' + b"1" * 5_000 + b"}"),
    "not a number": response(b'{"choices": [{"message": {"content": "x"}}], "x": NaN}'),
    "not UTF-8": response(b'{"choices": "\xff\xfe\xfa"}'),
    "not UTF-8 as text": response(b'{"choices": "\xff\xfe\xfa"}', Content_Type="text/plain"),
    "Latin-1": response("{ü}".encode("latin-1"), Content_Type="text/plain; charset=latin-1"),
    "an unknown charset": response(GOOD, Content_Type="text/plain; charset=nonsense"),
    "a page": response(b"<html><title>Sign in</title>", Content_Type="text/html"),
    "events": response(b"data: {}\n\n", Content_Type="text/event-stream"),
    "lines": response(b'{"a": 1}\n{"a": 2}\n'),
    "too large": response(b" " * (17 * 2**20)),
    "moved": response(b"", "302 Found", Location="/elsewhere"),
    "unchanged": response(b"", "304 Not Modified"),
    "400": response(b'{"error": {"message": "no", "param": "temperature"}}', "400 Bad Request"),
    "400 as a text": response(b"temperature is not supported", "400 Bad Request", Content_Type="text/plain"),
    "400 compressed": response(gzip.compress(b'{"error": {"message": "no"}}'), "400 Bad", Content_Encoding="gzip"),
    "400 not UTF-8": response(b"\xff\xfe", "400 Bad Request"),
    "400 empty": response(b"", "400 Bad Request"),
    "400 a list": response(b'["no"]', "400 Bad Request"),
    "401": response(b'{"detail": "key-of-the-server is no key"}', "401 Unauthorized"),
    "402": response(b'{"error": "pay"}', "402 Payment Required"),
    "404": response(b'{"error": {"message": "no model m"}}', "404 Not Found"),
    "429": response(b'{"error": {"message": "slow"}}', "429 Too Many", Retry_After="7"),
    "429 in milliseconds": response(b"{}", "429 Too Many", Retry_After="7", Retry_After_Ms="1500"),
    "429 twice": response(b"{}", "429 Too Many", Retry_After="3\r\nRetry-After: 9"),
    "500 page": response(b"<html><title>Gateway</title>", "500 Oops", Content_Type="text/html"),
    "503 loading": response(b'{"error": {"message": "Loading model"}}', "503 Unavailable", Retry_After="2"),
    "599": response(b"", "599 What"),
}  # fmt: skip


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_a_response_means_the_same(reply, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-the-server")
    found = []
    with RawServer(reply) as server:
        for straight in (True, False):
            found.append(posted(straight, {"base_url": server.base_url}, [{"model": "m"}]))
    assert found[0] == found[1]
    assert "key-of-the-server" not in str(found)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()),
    status=st.sampled_from([200, 201, 400, 403, 413, 422, 429, 500, 503]),
    kind=st.sampled_from(["application/json", "text/plain", "text/html; charset=utf-8", "", "garbage", ";", "JSON"]),
)
def test_any_response_means_the_same(body, status, kind):
    found = []
    with RawServer(response(body, f"{status} X", Content_Type=kind)) as server:
        for straight in (True, False):
            found.append(posted(straight, {"base_url": server.base_url}, [{"model": "m"}]))
    assert str(found[0]) == str(found[1])


def test_a_server_in_parts_is_asked_again_with_its_cookie():
    """Behind some balancers a cookie leads to the part that has the beginning of the prompt in its cache."""
    for straight in (True, False):
        with FakeLLMServer(lambda body: Reply("fine", headers={"Set-Cookie": "part=7; Path=/"})) as server:
            posted(straight, {"base_url": server.base_url}, [{"model": "m"}] * 2)
            assert [one.get("cookie") for one in server.headers] == [None, "part=7"]


def test_a_refusal_leaves_the_connection_usable():
    for straight in (True, False):
        refusals = error(429, "slow", retry_after="1"), error(500, "x" * 100_000)
        said = iter([Reply("a"), refusals[0], Reply("b"), refusals[1], Reply("c")])
        with FakeLLMServer(lambda body, said=said: next(said)) as server:
            found = posted(straight, {"base_url": server.base_url}, [{"model": "m"}] * 5)
        texts = [one["choices"][0]["message"]["content"] for one in found if isinstance(one, dict)]
        assert texts == ["a", "b", "c"]


@pytest.mark.parametrize("straight", [True, False])
def test_a_body_that_comes_byte_by_byte_does_not_take_longer_than_a_call_may(straight):
    def trickle() -> Iterator[bytes]:
        yield response(b"", Content_Length="1000")
        while True:
            time.sleep(0.05)
            yield b" "

    with RawServer(trickle()) as server:
        (failure, _) = posted(straight, {"base_url": server.base_url}, [{"model": "m"}], timeout_s=0.3)
    assert failure[0] is FailureKind.TRANSIENT
    assert "no complete answer within timeout_s" in failure[1]


def test_nothing_is_sent_to_find_out_how():
    with FakeLLMServer() as server:
        posted(True, {"base_url": server.base_url}, [{"model": "m"}])
        assert server.requests == [{"model": "m"}]
