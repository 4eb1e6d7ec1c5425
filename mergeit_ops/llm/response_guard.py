"""Check responses: no redirect, no event stream, and no larger than an answer can be."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from types import ModuleType
from typing import Any

from mergeit_ops.llm.failures import CallFailedError, FailureKind
from mergeit_ops.llm.servers import CAP_FIELDS

__all__ = ["UnusableResponseError", "bounded", "max_response_bytes", "refuse_unusable", "response_guard"]

_MIB = 2**20
_BASE_BYTES = 4 * _MIB
_UNKNOWN_BYTES = 16 * _MIB
_BYTES_PER_TOKEN = 64
_BYTES_PER_LOGPROB = 256
_REDIRECTS = (301, 302, 303, 307, 308)
_STREAMS = ("text/event-stream", "application/x-ndjson", "application/jsonl", "application/stream+json")


class UnusableResponseError(CallFailedError):
    """A response that cannot be the answer to any request.

    :param detail: a description, as part of a sentence.
    :param todo: what to do about it.
    :param status: the HTTP status.
    :param location: target of a redirect; None for other responses.
    """

    def __init__(self, detail: str, todo: str, *, status: int, location: str | None = None) -> None:
        super().__init__(FailureKind.UNUSABLE, detail, status=status)
        self.todo = todo
        self.location = location


def max_response_bytes(sampling_params: Mapping[str, Any]) -> int:
    """Return the maximum size of a decompressed response body.

    :param sampling_params: fields of the request. If they limit the tokens of an answer, the maximum is the size of
        that many tokens plus 4 MiB, but at most 16 MiB; without a limit it is 16 MiB.
    """
    places = (sampling_params, sampling_params.get("extra_body") or {})
    caps = [place[name] for place in places for name in CAP_FIELDS if _is_count(place.get(name))]
    if not caps:
        return _UNKNOWN_BYTES
    listed = [place[name] for place in places for name in ("logprobs", "top_logprobs") if _is_count(place.get(name))]
    per_token = _BYTES_PER_TOKEN + _BYTES_PER_LOGPROB * (1 + max(listed, default=0))
    return min(_UNKNOWN_BYTES, _BASE_BYTES + min(caps) * per_token)


def response_guard(http_library: ModuleType, max_bytes: int) -> Callable[[Any], Awaitable[None]]:
    """Return a hook that checks each response before its body is read.

    :param http_library: httpx, or its successor.
    :param max_bytes: size of the largest decompressed body.
    :return: an event hook for responses. It raises `CallFailedError`, immediately or while the body is read.
    """

    class Bounded(http_library.AsyncByteStream):  # type: ignore[name-defined]
        """The decompressed body, up to `max_bytes`."""

        def __init__(self, parts: AsyncGenerator[bytes], source: Any) -> None:
            self._parts = parts
            self._source = source

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for part in bounded(self._parts, max_bytes):
                yield part

        async def aclose(self) -> None:
            await self._parts.aclose()
            await self._source.aclose()

    async def guard(response: Any) -> None:
        headers = response.headers
        refuse_unusable(int(response.status_code), headers.get("content-type", ""), headers.get("location", ""))
        source = response.stream
        # Decompressed here, piece by piece, because the limit protects memory.
        encoded = http_library.Response(response.status_code, headers=response.headers, stream=source)
        for name in ("content-encoding", "content-length"):
            response.headers.pop(name, None)
        response.stream = Bounded(encoded.aiter_bytes(), source)

    return guard


async def bounded(parts: AsyncIterable[bytes], max_bytes: int) -> AsyncIterator[bytes]:
    """Yield the parts of a body.

    :param parts: decompressed.
    :param max_bytes: the largest body.
    :raises CallFailedError: as soon as it is larger.
    """
    size = 0
    async for part in parts:
        size += len(part)
        if size > max_bytes:
            raise CallFailedError(
                FailureKind.UNUSABLE,
                f"the response is larger than {max_bytes / _MIB:.0f} MiB, more than any answer needs; the "
                "rest was not read",
            )
        yield part


def refuse_unusable(status: int, content_type: str, location: str) -> None:
    """Refuse a response that cannot be an answer, before its body is read.

    :param status: its HTTP status.
    :param content_type: header of that name; empty: none.
    :param location: header of that name; empty: none.
    :raises UnusableResponseError: for redirects and the like, and for streams.
    """
    if 300 <= status < 400 and status not in _REDIRECTS:
        raise UnusableResponseError(
            f"answers with HTTP {status}, which is neither an answer nor a redirect",
            "turn off what keeps copies of answers on the way to it, and check base_url in model_params (or "
            "OPENAI_BASE_URL)",
            status=status,
        )
    if status in _REDIRECTS:
        raise UnusableResponseError("", "", status=status, location=location)
    kind = content_type.partition(";")[0].strip().lower()
    if status < 300 and kind in _STREAMS:
        raise UnusableResponseError(
            f"streams its answers ({kind}), but only whole answers can be read",
            "turn streaming off at the server or gateway, or remove 'stream' from what it adds to requests",
            status=status,
        )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
