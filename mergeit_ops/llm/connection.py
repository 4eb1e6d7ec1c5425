"""The way to an OpenAI-compatible server: its address, its key, and one POST whose failures are all told apart."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from mergeit_ops.errors import LLMUnavailableError, RecipeError
from mergeit_ops.llm.classify import CallFailedError, FailureKind, classify, error_in, shorten

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["Connection", "is_http_url", "open_connection", "server_url"]

_OPENAI_URL = "https://api.openai.com/v1"
_KEY_OF_KEYLESS_SERVERS = "no-key"
_CONNECT_TIMEOUT_S = 10.0
_LISTING_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Connection:
    """An open client of one server; every failed call comes out as `CallFailedError`.

    :param client: from the openai package, its own retries off.
    :param secret: the API key, to be masked in texts of the server.
    :param timeout_s: seconds for one call, from sending it to the end of its answer.
    """

    client: AsyncOpenAI
    secret: str
    timeout_s: float

    async def post(self, endpoint: str, body: Mapping[str, Any]) -> object:
        """Send one request.

        :param endpoint: path below the base URL, or a whole URL.
        :param body: of the request, plain JSON.
        :return: the decoded body of the response.
        :raises CallFailedError: when there is none, or it reports an error.
        """
        try:
            # The client's own timeout bounds each wait for bytes; this one the call as a whole.
            payload = await asyncio.wait_for(
                self.client.post(endpoint, cast_to=object, body=dict(body)), self.timeout_s
            )
            payload = json.loads(payload) if isinstance(payload, str) else payload
            reported = error_in(payload, secret=self.secret)
            if reported is None:
                return payload
            failure = reported
        except (ValueError, RecursionError):
            failure = CallFailedError(FailureKind.TRANSIENT, "the server answered with something that is not JSON")
        except Exception as error:
            known = classify(error, secret=self.secret)
            if known is None:
                raise
            failure = known
        # Outside the handler: the foreign exception holds the request with its headers, and stays behind.
        raise failure

    async def aclose(self) -> None:
        """Close all connections."""
        await self.client.close()

    async def models(self, endpoint: str) -> tuple[str, ...]:
        """Return the names of the models that the server lists; none when it lists none, or takes its time.

        :param endpoint: where requests go. A whole URL may be another server's than the one whose list is known.
        """
        if is_http_url(endpoint):
            return ()
        try:
            payload = await asyncio.wait_for(self.client.get("/models", cast_to=object), _LISTING_TIMEOUT_S)
        except Exception:
            # Not every server has a list, and this one is asked after something else has failed.
            return ()
        listed = payload.get("data") if isinstance(payload, Mapping) else None
        entries = listed if isinstance(listed, list) else []
        return tuple(
            shorten(str(entry["id"]), self.secret)
            for entry in entries
            if isinstance(entry, Mapping) and entry.get("id")
        )


def open_connection(model_params: Mapping[str, Any], timeout_s: float) -> Connection:
    """Make a client; nothing is sent.

    :param model_params: arguments of `openai.AsyncOpenAI` other than the key, e.g. `base_url`.
    :param timeout_s: seconds for one call.
    :raises LLMUnavailableError: without a key and without a server that could do without one.
    """
    url = server_url(model_params)
    if not is_http_url(url):
        raise LLMUnavailableError(
            "OPENAI_BASE_URL must be an http:// or https:// address such as http://127.0.0.1:8000/v1."
        )
    key = _key(model_params)
    return Connection(_open_client(key, url, model_params, timeout_s), key, timeout_s)


def server_url(model_params: Mapping[str, Any]) -> str:
    """Return the base URL that a call would go to.

    :param model_params: whose `base_url` comes first, then the environment variable OPENAI_BASE_URL, then OpenAI.
    """
    return _named_url(model_params) or _OPENAI_URL


def is_http_url(text: str) -> bool:
    """Tell whether a text is an http or https address with a host.

    :param text: any text.
    """
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _named_url(model_params: Mapping[str, Any]) -> str:
    return str(model_params.get("base_url") or os.environ.get("OPENAI_BASE_URL") or "").strip()


def _key(model_params: Mapping[str, Any]) -> str:
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    if not key and not _named_url(model_params):
        raise LLMUnavailableError(
            "There is no LLM to ask: set the environment variable OPENAI_API_KEY, or, for a server that needs no "
            "key, OPENAI_BASE_URL (or base_url in model_params)."
        )
    if key.isascii() and key.isprintable():
        return key or _KEY_OF_KEYLESS_SERVERS
    # A traceback that shows variables must not find it.
    del key
    raise LLMUnavailableError(
        "OPENAI_API_KEY contains characters that no key can have: set it again, without quotes or line breaks."
    )


def _open_client(key: str, base_url: str, model_params: Mapping[str, Any], timeout_s: float) -> AsyncOpenAI:
    import openai

    for name in ("httpx", "httpx2"):
        library = logging.getLogger(name)
        if library.level == logging.NOTSET:
            # It reports every request at INFO: tens of thousands of lines in a run.
            library.setLevel(logging.WARNING)
    others = {name: value for name, value in model_params.items() if name != "base_url"}
    timeout = openai.Timeout(timeout_s, connect=min(_CONNECT_TIMEOUT_S, timeout_s))
    try:
        return openai.AsyncOpenAI(
            api_key=key, base_url=base_url, timeout=timeout, max_retries=0, http_client=_fast_http_client(), **others
        )
    except TypeError as error:
        reason = str(error)
    raise RecipeError(f"model_params cannot be used with the installed openai {openai.__version__}: {reason}.")


def _fast_http_client() -> Any:
    """Return the openai package's HTTP client over aiohttp; None for its default one.

    A call over it takes some two thirds of the processor time, and finding a free connection among many takes next to
    none: the default client looks at every connection twice a call.
    """
    import openai

    # It speaks to fewer kinds of proxies than the default client.
    if any(name != "no" for name in getproxies()):
        return None
    make = getattr(openai, "DefaultAioHttpClient", None)
    try:
        return None if make is None else make()
    except (RuntimeError, ImportError):
        # Versions of openai before 3 want another package for it.
        return None
