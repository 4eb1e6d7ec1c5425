"""Any OpenAI-compatible server as a backend."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mergeit_ops.errors import LLMUnavailableError, RecipeError
from mergeit_ops.llm.backend import ChatBackend, Completion
from mergeit_ops.llm.classify import CallFailedError, FailureKind, classify, error_in
from mergeit_ops.llm.json_modes import JsonModes
from mergeit_ops.llm.responses import read_completion

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = [
    "DEFAULT_ENDPOINT",
    "DEFAULT_RESPONSE_PATH",
    "OpenAICompatibleClient",
    "OpenAICompatibleFactory",
    "is_http_url",
]

DEFAULT_ENDPOINT = "/chat/completions"
DEFAULT_RESPONSE_PATH = "choices.0.message.content"

_OPENAI_URL = "https://api.openai.com/v1"
_KEY_OF_KEYLESS_SERVERS = "no-key"
_CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class OpenAICompatibleFactory:
    """Makes clients for one model of one server.

    :param model: the model's name at the server.
    :param api_endpoint: path below the base URL, or a whole URL.
    :param response_path: where in the response the text is.
    :param model_params: arguments of `openai.AsyncOpenAI` other than the key, e.g. `base_url`.
    :param sampling_params: fields of the request body, e.g. `temperature`; `extra_body` is merged into it.
    :param timeout_s: seconds for one call, from sending it to the end of its answer.
    """

    model: str
    api_endpoint: str = DEFAULT_ENDPOINT
    response_path: str = DEFAULT_RESPONSE_PATH
    model_params: Mapping[str, Any] = field(default_factory=dict)
    sampling_params: Mapping[str, Any] = field(default_factory=lambda: {"temperature": 0.25})
    timeout_s: float = 120.0

    def identity(self) -> Mapping[str, Any]:
        """Return what names the answers: server, endpoint, model, and where the text is read from."""
        return {
            "base_url": self._base_url().rstrip("/"),
            "endpoint": self.api_endpoint.strip("/"),
            "model": self.model,
            "response_path": self.response_path,
            "default_query": dict(self.model_params.get("default_query") or {}),
        }

    def create(self, max_concurrency: int) -> ChatBackend:
        """Make the client.

        :param max_concurrency: not needed here, connections are opened as required.
        :raises LLMUnavailableError: without a key and without a server that could do without one.
        """
        url = self._base_url()
        if not is_http_url(url):
            raise LLMUnavailableError(
                "OPENAI_BASE_URL must be an http:// or https:// address such as http://127.0.0.1:8000/v1."
            )
        key = self._key()
        return OpenAICompatibleClient(_open_client(key, url, self.model_params, self.timeout_s), self, secret=key)

    def _named_url(self) -> str:
        return str(self.model_params.get("base_url") or os.environ.get("OPENAI_BASE_URL") or "").strip()

    def _base_url(self) -> str:
        return self._named_url() or _OPENAI_URL

    def _key(self) -> str:
        key = os.environ.get("OPENAI_API_KEY", "").strip()
        if not key and not self._named_url():
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


class OpenAICompatibleClient:
    """Asks one model of one server; every failure comes out as `CallFailedError`.

    :param client: from the openai package, its own retries off.
    :param spec: what to ask, and how.
    :param secret: the API key, to be masked in texts of the server.
    """

    def __init__(self, client: AsyncOpenAI, spec: OpenAICompatibleFactory, *, secret: str) -> None:
        self._client = client
        self._spec = spec
        self._secret = secret
        self._modes = JsonModes()
        self._cap_field = "max_tokens"

    async def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        sampling_params: Mapping[str, Any],
        schema: Mapping[str, Any] | None = None,
    ) -> Completion:
        """Ask for one answer.

        :param messages: chat turns with `role` and `content`.
        :param sampling_params: fields of the request body; a `response_format` in it is sent as it is.
        :param schema: JSON schema of the answer; the server is held to it as far as it can be.
        :raises CallFailedError: when there is no response.
        """
        fields = {name: value for name, value in sampling_params.items() if name != "extra_body"}
        fields.update(sampling_params.get("extra_body") or {})
        body = {"model": self._spec.model, "messages": [dict(turn) for turn in messages], **fields}
        if schema is None or "response_format" in body:
            payload = await self._send(body)
        else:
            payload = await self._modes.ask(
                lambda form: self._send(body if form is None else {**body, "response_format": form}), schema
            )
        return read_completion(payload, self._spec.response_path)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _send(self, body: Mapping[str, Any]) -> object:
        try:
            return await self._post(self._with_cap_field(body))
        except CallFailedError as failure:
            # OpenAI's reasoning models want the newer name, most other servers know the older one only.
            if failure.status not in (400, 422) or failure.field != "max_tokens" or "max_tokens" not in body:
                raise
        self._cap_field = "max_completion_tokens"
        return await self._post(self._with_cap_field(body))

    def _with_cap_field(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return {self._cap_field if name == "max_tokens" else name: value for name, value in body.items()}

    async def _post(self, body: Mapping[str, Any]) -> object:
        try:
            # The client's own timeout bounds each wait for bytes; this one the call as a whole.
            payload = await asyncio.wait_for(
                self._client.post(self._spec.api_endpoint, cast_to=object, body=body), self._spec.timeout_s
            )
            payload = json.loads(payload) if isinstance(payload, str) else payload
            reported = error_in(payload, secret=self._secret)
            if reported is None:
                return payload
            failure = reported
        except (ValueError, RecursionError):
            failure = CallFailedError(FailureKind.TRANSIENT, "the server answered with something that is not JSON")
        except Exception as error:
            known = classify(error, secret=self._secret)
            if known is None:
                raise
            failure = known
        # Outside the handler: the foreign exception holds the request with its headers, and stays behind.
        raise failure


def is_http_url(text: str) -> bool:
    """Tell whether a text is an http or https address with a host.

    :param text: any text.
    """
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


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
        return openai.AsyncOpenAI(api_key=key, base_url=base_url, timeout=timeout, max_retries=0, **others)
    except TypeError as error:
        reason = str(error)
    raise RecipeError(f"model_params cannot be used with the installed openai {openai.__version__}: {reason}.")
