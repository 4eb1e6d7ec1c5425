"""Checks of responses: what is no answer, and how large an answer can be."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest

from mergeit_ops.llm.failures import CallFailedError, FailureKind
from mergeit_ops.llm.response_guard import UnusableResponseError, max_response_bytes, response_guard

MIB = 2**20


@pytest.mark.parametrize(
    ("sampling_params", "mib"),
    [
        ({}, 16),
        ({"max_tokens": 1}, 4),
        ({"max_completion_tokens": 16384}, 9),
        ({"extra_body": {"max_tokens": 16384}}, 9),
        ({"max_tokens": 1000, "logprobs": 20}, 9),
        ({"max_tokens": 10**12}, 16),
        ({"max_tokens": None}, 16),
        ({"max_tokens": "many"}, 16),
        ({"max_tokens": 0}, 16),
        ({"max_tokens": True}, 16),
    ],
)
def test_the_bound_follows_from_the_cap_on_tokens(sampling_params, mib):
    assert round(max_response_bytes(sampling_params) / MIB) == mib


def guarded(body: bytes, max_bytes: int, status: int = 200, **headers: str) -> bytes:
    """Read a response of httpx through the guard."""
    import httpx

    async def scenario() -> bytes:
        shown = {name.replace("_", "-"): value for name, value in headers.items()}
        transport = httpx.MockTransport(lambda request: httpx.Response(status, headers=shown, stream=Parts(body)))
        hooks = {"response": [response_guard(httpx, max_bytes)]}
        async with httpx.AsyncClient(transport=transport, event_hooks=hooks) as client:
            return (await client.get("http://server/")).content

    class Parts(httpx.AsyncByteStream):
        def __init__(self, body: bytes) -> None:
            self.body = body

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for start in range(0, len(self.body), 7):
                yield self.body[start : start + 7]

    return asyncio.run(scenario())


def test_a_body_is_read_up_to_the_bound():
    assert guarded(b"x" * 100, 100) == b"x" * 100
    assert guarded(b"", 0) == b""
    with pytest.raises(CallFailedError, match="larger than") as caught:
        guarded(b"x" * 101, 100)
    assert caught.value.kind is FailureKind.UNUSABLE


def test_the_bound_is_for_what_a_body_unfolds_to():
    packed = gzip.compress(b"x" * 5_000)
    assert guarded(packed, 5_000, content_encoding="gzip") == b"x" * 5_000
    with pytest.raises(CallFailedError):
        guarded(packed, 4_999, content_encoding="gzip")


@pytest.mark.parametrize(
    ("status", "headers", "location"),
    [(302, {"location": "http://elsewhere/"}, "http://elsewhere/"), (308, {}, ""), (304, {}, None), (399, {}, None)],
)
def test_neither_a_redirect_nor_what_looks_like_one_is_an_answer(status, headers, location):
    with pytest.raises(UnusableResponseError) as caught:
        guarded(b"{}", 100, status, **headers)
    assert (caught.value.status, caught.value.location) == (status, location)


@pytest.mark.parametrize("kind", ["text/event-stream", "Text/Event-Stream; charset=utf-8", "application/x-ndjson"])
def test_a_stream_is_refused_but_an_error_in_that_form_is_read(kind):
    with pytest.raises(UnusableResponseError, match="only whole answers"):
        guarded(b"data: {}", 100, content_type=kind)
    assert guarded(b"data: {}", 100, 500, content_type=kind) == b"data: {}"
