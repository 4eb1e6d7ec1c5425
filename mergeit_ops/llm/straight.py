"""Send requests directly with aiohttp, with the address and the headers of the openai package."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mergeit_ops.llm.response_guard import bounded, refuse_unusable

if TYPE_CHECKING:
    import aiohttp
    from openai import AsyncOpenAI

__all__ = ["StraightSender", "built_request"]

_OWN_HEADERS = ("content-length", "transfer-encoding")
"""Headers that depend on the body."""

_CHUNK_BYTES = 1024 * 16
_IDLE_S = 5.0
"""Seconds after which an idle connection is closed, as in the openai package, because many servers close theirs
then."""


class StraightSender:
    """Sends requests of one endpoint without the layers between the openai package and aiohttp.

    The package builds one request, which is not sent. Each request is a copy of it with another body, so keys, headers
    and addresses follow the rules of the package. Responses that report an error raise the package's errors; other
    failures raise those of aiohttp.

    :param client: client of the openai package.
    :param http_library: httpx or its successor, whichever the package uses.
    :param endpoint: path below the base URL, or a whole URL.
    :param certificates: certificates for encrypted connections.
    :param connect_timeout_s: seconds for making a connection.
    :param max_bytes: size of the largest decompressed response.
    """

    def __init__(
        self,
        client: AsyncOpenAI,
        http_library: ModuleType,
        endpoint: str,
        *,
        certificates: ssl.SSLContext,
        connect_timeout_s: float,
        max_bytes: int,
    ) -> None:
        self._client = client
        self._library = http_library
        self._endpoint = endpoint
        self._certificates = certificates
        self._connect_timeout_s = connect_timeout_s
        self._max_bytes = max_bytes
        self._built: Any = None
        self._url: Any = None
        self._headers: Any = None
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: Mapping[str, Any], timeout_s: float) -> object:
        """Send one request and return the body of the response: decoded, or as text if its type is not JSON.

        :param body: of the request, plain JSON.
        :param timeout_s: seconds from sending to the end of the answer.
        :raises CallFailedError: for a response that is not an answer, or is too large.
        :raises openai.APIStatusError: for a response that reports an error.
        :raises ValueError: for a body that is not JSON; other exceptions come from aiohttp or the event loop.
        """
        import aiohttp

        session = self._session or await self._open()
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(self._connect_timeout_s, timeout_s))
        async with session.post(
            self._url,
            data=_encoded(body),
            headers=self._headers,
            allow_redirects=False,
            timeout=timeout,
        ) as response:
            content_type = response.headers.get("content-type", "")
            refuse_unusable(response.status, content_type, response.headers.get("location", ""))
            parts = self._parts(response)
            content = b"".join([part async for part in bounded(parts, self._max_bytes)])
            if not 200 <= response.status < 300:
                raise self._status_error(response, content)
            return self._payload(response, content_type, content)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def _open(self) -> aiohttp.ClientSession:
        import aiohttp
        import yarl
        from multidict import CIMultiDict

        built = await built_request(self._client, self._library, self._endpoint)
        if self._session is None:
            self._built = built
            self._url = yarl.URL(str(built.url))
            headers = ((name, value) for name, value in built.headers.items() if name not in _OWN_HEADERS)
            self._headers = CIMultiDict(headers)
            # The stage limits the calls in flight.
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_S, ssl=self._certificates)
            # Decompressed here, piece by piece, because the limit protects memory.
            self._session = aiohttp.ClientSession(
                connector=connector, auto_decompress=False, cookie_jar=aiohttp.CookieJar(unsafe=True)
            )
        return self._session

    def _parts(self, response: aiohttp.ClientResponse) -> AsyncIterable[bytes]:
        raw = response.content.iter_chunked(_CHUNK_BYTES)
        if response.headers.get("content-encoding") is None:
            return raw
        parts: AsyncIterable[bytes] = self._response(response, content=raw).aiter_bytes()
        return parts

    def _status_error(self, response: aiohttp.ClientResponse, content: bytes) -> Exception:
        import openai

        full = self._response(response, content=content, decoded=True)
        return openai.APIStatusError(f"HTTP {response.status}", response=full, body=full.text)

    def _payload(self, response: aiohttp.ClientResponse, content_type: str, content: bytes) -> object:
        if (content_type or "*").partition(";")[0].endswith("json"):
            return json.loads(content)
        return self._response(response, content=content, decoded=True).text

    def _response(self, response: aiohttp.ClientResponse, *, decoded: bool = False, **body: Any) -> Any:
        headers = [
            (name, value)
            for name, value in response.raw_headers
            if not (decoded and name.lower() in (b"content-encoding", b"content-length"))
        ]
        return self._library.Response(response.status, headers=headers, request=self._built, **body)


async def built_request(client: AsyncOpenAI, http_library: ModuleType, endpoint: str) -> Any:
    """Return the request that the openai package builds for an endpoint; nothing is sent.

    :param client: client with address, key and headers.
    :param http_library: httpx or its successor, whichever the package uses.
    :param endpoint: path below the base URL, or a whole URL.
    """
    import openai

    def nowhere(request: Any) -> Any:
        raise http_library.ConnectError("not sent", request=request)

    http_client = openai.DefaultAsyncHttpxClient(transport=http_library.MockTransport(nowhere), trust_env=False)
    async with client.with_options(http_client=http_client, max_retries=0) as building:
        try:
            await building.post(endpoint, cast_to=object, body={})
        except openai.APIConnectionError as error:
            return error.request
    raise AssertionError("the request was answered by nobody")


def _encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
