"""The connection to an OpenAI-compatible server: its address, its key, and one POST that classifies all failures."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import ssl
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from mergeit_ops.core.secrets import shown_url
from mergeit_ops.errors import LLMUnavailableError, RecipeError
from mergeit_ops.llm.address import address_problem, is_http_url, is_of_this_machine, redirected
from mergeit_ops.llm.backend import Completion
from mergeit_ops.llm.certificates import certificate_problem, handshake_problem
from mergeit_ops.llm.classify import classify, error_in
from mergeit_ops.llm.failures import CallFailedError, FailureKind, shorten
from mergeit_ops.llm.header_fields import headers_problem, text_problem
from mergeit_ops.llm.masking import Mask, masking, proxy_secrets
from mergeit_ops.llm.non_json import non_json, web_page
from mergeit_ops.llm.proxies import Proxy, proxy_for
from mergeit_ops.llm.response_guard import UnusableResponseError, max_response_bytes, response_guard
from mergeit_ops.llm.straight import StraightSender

if TYPE_CHECKING:
    from openai import AsyncOpenAI, Timeout

__all__ = [
    "VARIABLES",
    "Connection",
    "check_connection",
    "is_http_url",
    "mask_of",
    "open_connection",
    "server_url",
    "shown",
]

T = TypeVar("T")

_CHAT = "/chat/completions"

_OPENAI_URL = "https://api.openai.com/v1"
_KEY_OF_KEYLESS_SERVERS = "no-key"
_CONNECT_TIMEOUT_S = 10.0
_LISTING_TIMEOUT_S = 2.0
_FIRST_ANSWER = 2
"""Factor of the timeout after a call took too long, until the server has answered."""
_BEGINNING_CHARS = 2_000
_LONG_WORD = 12
_WHO = 407
_ASKS_WHO = re.compile(r"\b407\b|authenticat", re.IGNORECASE)
_FORBIDDEN = 403
_PROXY_REFUSALS = (_WHO, 502, 503, 504)
_HEADER_VARIABLES = {"OPENAI_ORG_ID": "organization", "OPENAI_PROJECT_ID": "project"}
VARIABLES = ("OPENAI_API_KEY", "OPENAI_BASE_URL", *_HEADER_VARIABLES, "OPENAI_CUSTOM_HEADERS")
"""Environment variables for server and account. Proxies and certificates belong to each machine."""

_OPENAI_HOST = ".api.openai.com"
_QUOTES = "\"'`"
_ILLEGAL_KEY = (
    "OPENAI_API_KEY contains characters that a key cannot have: set it again, without quotes, blanks or line "
    "breaks, and without 'Bearer'."
)


@dataclass(frozen=True)
class Target:
    """Where requests go.

    :param url: the base URL.
    :param endpoint: path below it, or a whole URL.
    """

    url: str
    endpoint: str

    @property
    def asked(self) -> str:
        """The whole address."""
        if is_http_url(self.endpoint):
            return self.endpoint
        return f"{self.url.rstrip('/')}/{self.endpoint.lstrip('/')}"


def _timeout(seconds: float) -> Timeout:
    import openai

    return openai.Timeout(seconds, connect=min(_CONNECT_TIMEOUT_S, seconds))


class Connection:
    """An open client of one server; every failed call raises `CallFailedError`.

    :param client: client of the openai package, without retries.
    :param mask: function that hides secrets in texts of the server.
    :param timeout_s: seconds for one call, from sending it to the end of its answer. After a call that took longer, the
        timeout is twice as long until the server has answered.
    :param target: where requests go.
    :param proxy: proxy of the requests; None for direct requests.
    :param straight: sender for the requests of `post`; None: the client sends them.
    """

    def __init__(
        self,
        client: AsyncOpenAI,
        mask: Mask,
        timeout_s: float,
        target: Target,
        proxy: Proxy | None,
        straight: StraightSender | None = None,
    ) -> None:
        self._client = client
        self._straight = straight
        self._mask = mask
        self._timeout_s = timeout_s
        self._target = target
        self._proxy = proxy
        self._patience_s = timeout_s
        self._answered = False

    async def post(self, endpoint: str, body: Mapping[str, Any], answer_at: str = "choices") -> object:
        """Send one request.

        :param endpoint: path below the base URL, or a whole URL; it must be the endpoint for which the connection was
            opened.
        :param body: of the request, plain JSON.
        :param answer_at: field of the response that holds the answer.
        :return: the decoded body of the response.
        :raises CallFailedError: if there is no response, or it reports an error.
        :raises LLMUnavailableError: if the first responses show that no response can be used.
        """
        import openai

        patience_s = self._patience_s
        try:
            payload = await self._sent(endpoint, body, patience_s)
            reported = error_in(payload, self._mask, answer_at)
            if reported is None:
                self._answered = True
                self._patience_s = self._timeout_s
                return payload
            failure: Exception = reported
        except Exception as error:
            if isinstance(error, (TimeoutError, asyncio.TimeoutError, openai.APITimeoutError)) and not self._answered:
                # The first prompts take longest, because the server reads all of them and may still load its model.
                self._patience_s = _FIRST_ANSWER * self._timeout_s
            known = self._failure(error)
            if known is None:
                raise
            failure = known
        # Raised outside the handler, because the original exception holds the request with its headers and must not be
        # chained.
        raise failure

    async def _sent(self, endpoint: str, body: Mapping[str, Any], patience_s: float) -> object:
        if self._straight is not None:
            payload = await self._straight.post(body, patience_s)
        else:
            # The client's own timeout limits each wait for bytes; this one limits the whole call.
            payload = await asyncio.wait_for(
                self._client.post(endpoint, cast_to=object, body=dict(body), options={"timeout": _timeout(patience_s)}),
                patience_s,
            )
        return json.loads(payload) if isinstance(payload, str) else payload

    async def call(self, send: Callable[[AsyncOpenAI], Awaitable[T]]) -> T:
        """Call another part of the server's API.

        :param send: function that makes one call with the client.
        :raises CallFailedError: if there is no response, or it reports an error.
        :raises LLMUnavailableError: if the response shows that no response can be used.
        """
        try:
            result = await send(self._client)
        except Exception as error:
            failure = self._failure(error)
            if failure is None:
                raise
        else:
            self._answered = True
            return result
        raise failure

    def masked(self, text: str) -> str:
        """Return a text of the server as one short line without secrets.

        :param text: any text.
        """
        return shorten(text, self._mask)

    @property
    def answered(self) -> bool:
        """Whether the server has ever answered."""
        return self._answered

    def shown(self, completion: Completion) -> Completion:
        """Return a completion without secrets in its descriptive fields.

        :param completion: the completion as read. Its text is data and is not changed.
        """
        return shown(completion, self._mask)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.close()
        if self._straight is not None:
            await self._straight.aclose()

    async def models(self, endpoint: str) -> tuple[str, ...]:
        """Return the names of the models that the server lists; empty if it lists none or is slow.

        :param endpoint: endpoint of the requests. A whole URL may belong to another server than the one whose list is
            known.
        """
        if is_http_url(endpoint):
            return ()
        try:
            payload = await asyncio.wait_for(self._client.get("/models", cast_to=object), _LISTING_TIMEOUT_S)
        except Exception:
            # Not every server has a list, and it is asked only after something else has failed.
            return ()
        listed = payload.get("data") if isinstance(payload, Mapping) else None
        entries = listed if isinstance(listed, list) else []
        return tuple(
            shorten(str(entry["id"]), self._mask) for entry in entries if isinstance(entry, Mapping) and entry.get("id")
        )

    def _failure(self, error: Exception) -> Exception | None:
        """Translate the exception of a call; None if it is not a failed call."""
        own = _own(error)
        if isinstance(own, UnusableResponseError):
            return self._unusable(own)
        known = own or classify(error, self._mask)
        if known is None:
            # An untrusted certificate is a ValueError too, which `classify` handles.
            if isinstance(error, (ValueError, RecursionError)):
                return CallFailedError(FailureKind.TRANSIENT, non_json(getattr(error, "doc", ""), self._mask))
            return None
        page = web_page(str(getattr(getattr(error, "response", None), "text", "")), self._mask)
        if page is not None:
            known = known.but(detail=f"HTTP {known.status}: {page}")
        handshake = None if known.status is not None else handshake_problem(error)
        if handshake is not None:
            return CallFailedError(FailureKind.UNREACHABLE, handshake)
        if self._proxy is not None:
            return self._through_proxy(known, error, self._proxy)
        return self._without_credentials(known, "HTTP_PROXY or HTTPS_PROXY")

    def _unusable(self, response: UnusableResponseError) -> Exception:
        detail, todo = response.detail, response.todo
        if response.location is not None:
            to, base = redirected(self._mask(response.location), self._target.asked, self._target.endpoint)
            detail = (
                f"redirects requests to {to} (HTTP {response.status}), which is not followed, so that the key is not "
                "sent to another host"
            )
            perhaps = f", perhaps {base}" if is_http_url(base) else ""
            todo = f"set base_url in model_params (or OPENAI_BASE_URL) to the address of the API itself{perhaps}"
        if self._answered:
            # If other requests were answered, one such response concerns only one request.
            return CallFailedError(FailureKind.UNUSABLE, f"the server {detail}: {todo}", status=response.status)
        return LLMUnavailableError(f"The LLM server at {shown_url(self._target.url)} {detail}: {todo}.")

    def _through_proxy(self, failure: CallFailedError, error: Exception, proxy: Proxy) -> CallFailedError:
        """Name the proxy if it may have failed."""
        refusal = _proxy_refusal(error)
        if refusal is not None:
            words = f"the connection was refused: {shorten(refusal, self._mask)}"
            failure = failure.but(kind=FailureKind.UNREACHABLE, detail=words)
            if _ASKS_WHO.search(words):
                failure = failure.but(status=_WHO)
        elif failure.status is not None and failure.status not in self._statuses_of_proxies():
            return failure
        failure = self._without_credentials(failure, proxy.variable)
        return failure.but(detail=f"{failure.detail}, through {proxy}; NO_PROXY names the hosts that need none")

    def _statuses_of_proxies(self) -> tuple[int, ...]:
        # An unencrypted request may be forbidden by the proxy or by the server.
        plain = not self._target.asked.lower().startswith("https")
        return (*_PROXY_REFUSALS, _FORBIDDEN) if plain else _PROXY_REFUSALS

    def _without_credentials(self, failure: CallFailedError, variable: str) -> CallFailedError:
        """Explain the failure of a proxy that asks for credentials."""
        if failure.status != _WHO:
            return failure
        words = (
            f"{failure.detail}: a proxy asks for a user name and a password, so write {variable} as "
            "http://name:password@host:port"
        )
        return failure.but(kind=FailureKind.UNREACHABLE, detail=words)


def shown(completion: Completion, mask: Mask) -> Completion:
    """Return a completion without secrets in its descriptive fields.

    :param completion: the completion as read. Its text is data and is not changed.
    :param mask: hides that.
    """
    finish, refusal, model = (
        None if words is None else mask(words)
        for words in (completion.finish_reason, completion.refusal, completion.model)
    )
    beginning = shorten(completion.text.lstrip()[:_BEGINNING_CHARS], mask)
    return replace(completion, finish_reason=finish, refusal=refusal, model=model, beginning=beginning)


def mask_of(model_params: Mapping[str, Any]) -> Mask:
    """Return a function that hides the key and custom headers in texts of the server.

    :param model_params: arguments of `openai.AsyncOpenAI` other than the key.
    """
    return _mask(model_params, None)


def check_connection(model_params: Mapping[str, Any], endpoint: str) -> None:
    """Check whether a client can be made, before any work and without sending anything.

    :param model_params: arguments of `openai.AsyncOpenAI` other than the key, e.g. `base_url`.
    :param endpoint: path below the base URL, or a whole URL.
    :raises LLMUnavailableError: if it cannot be made. The sentence names the variable or parameter, and the remedy.
    :raises RecipeError: if `model_params` do not fit the installed client.
    """
    open_connection(model_params, _CONNECT_TIMEOUT_S, endpoint=endpoint)


def open_connection(
    model_params: Mapping[str, Any],
    timeout_s: float,
    *,
    endpoint: str = _CHAT,
    sampling_params: Mapping[str, Any] | None = None,
    max_bytes: int | None = None,
) -> Connection:
    """Make a client; nothing is sent.

    :param model_params: arguments of `openai.AsyncOpenAI` other than the key, e.g. `base_url`.
    :param timeout_s: seconds for one call.
    :param endpoint: path below the base URL, or a whole URL.
    :param sampling_params: fields of the requests, which limit the size of a response.
    :param max_bytes: size of the largest response, in place of that limit.
    :raises LLMUnavailableError: if a required key is missing, or if an address, a proxy or a certificate of the
        environment cannot be used.
    :raises RecipeError: if `model_params` do not fit the installed client.
    """
    problem = _environment_problem(model_params, endpoint)
    if problem is not None:
        raise LLMUnavailableError(problem)
    target = Target(server_url(model_params), endpoint)
    proxy = proxy_for(target.asked)
    largest = max_response_bytes(sampling_params or {}) if max_bytes is None else max_bytes
    client, straight = _open_client(target, proxy, model_params, timeout_s, largest)
    return Connection(client, _mask(model_params, proxy), timeout_s, target, proxy, straight)


def server_url(model_params: Mapping[str, Any]) -> str:
    """Return the base URL that a call would go to.

    :param model_params: arguments whose `base_url` comes first, then the environment variable OPENAI_BASE_URL, then
        OpenAI's address.
    """
    return _named_url(model_params) or _OPENAI_URL


def _named_url(model_params: Mapping[str, Any]) -> str:
    return str(model_params.get("base_url") or os.environ.get("OPENAI_BASE_URL") or "").strip()


def _environment_problem(model_params: Mapping[str, Any], endpoint: str) -> str | None:
    """Return which part of the environment prevents requests; None if none does."""
    target = Target(server_url(model_params), endpoint)
    name = "base_url in model_params" if model_params.get("base_url") else "OPENAI_BASE_URL"
    problem = address_problem(name, target.url, endpoint) or _key_problem(model_params, target)
    if problem is not None:
        return problem
    for variable, parameter in _HEADER_VARIABLES.items():
        value = os.environ.get(variable)
        what = None if value is None or model_params.get(parameter) else text_problem(value)
        if what is not None:
            return f"{variable} {what}: set it again, without quotes or line breaks, or unset it."
    what = headers_problem(_custom_headers())
    if what is not None:
        return f"OPENAI_CUSTOM_HEADERS {what}: write one 'Name: value' per line, in ASCII, or unset it."
    if is_of_this_machine(target.asked) and not target.asked.lower().startswith("https"):
        # This request uses neither a proxy nor a certificate.
        return None
    proxy = proxy_for(target.asked)
    return (proxy.problem() if proxy is not None else None) or certificate_problem()


def _custom_headers() -> Mapping[object, object]:
    """Return the headers that newer versions of openai take from the environment."""
    lines = os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n")
    fields = (line.partition(":") for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, _, value in fields}


def _key() -> str:
    return os.environ.get("OPENAI_API_KEY", "").strip() or _KEY_OF_KEYLESS_SERVERS


def _mask(model_params: Mapping[str, Any], proxy: Proxy | None) -> Mask:
    """Return a function that hides everything secret: the key, the proxy's password, and custom headers."""
    headers = {**_custom_headers(), **(model_params.get("default_headers") or {})}
    secrets = [str(value).strip() for value in headers.values()]
    # "Bearer abc" is two words, and a server may repeat the second.
    secrets += [word for value in secrets for word in value.split() if len(word) >= _LONG_WORD]
    key = _key()
    if key != _KEY_OF_KEYLESS_SERVERS:
        secrets.append(key)
    return masking([*secrets, *(proxy_secrets(proxy.url) if proxy is not None else ())])


def _key_problem(model_params: Mapping[str, Any], target: Target) -> str | None:
    if os.environ.get("OPENAI_API_KEY", "").strip():
        return None if _key_is_legal() else _ILLEGAL_KEY
    if not _named_url(model_params) and not is_http_url(target.endpoint):
        return (
            "There is no LLM to ask: set the environment variable OPENAI_API_KEY, or, for a server that needs no "
            "key, OPENAI_BASE_URL (or base_url in model_params)."
        )
    if f".{urlsplit(target.asked).hostname or ''}".endswith(_OPENAI_HOST):
        return f"The LLM server at {shown_url(target.url)} needs a key: set the environment variable OPENAI_API_KEY."
    return None


def _key_is_legal() -> bool:
    key = _key()
    return text_problem(key) is None and not any(char.isspace() for char in key) and key[0] not in _QUOTES


def _open_client(
    target: Target, proxy: Proxy | None, model_params: Mapping[str, Any], timeout_s: float, max_bytes: int
) -> tuple[AsyncOpenAI, StraightSender | None]:
    import openai

    for name in ("httpx", "httpx2"):
        logs = logging.getLogger(name)
        if logs.level == logging.NOTSET:
            # It logs every request at INFO, which is tens of thousands of lines in a run.
            logs.setLevel(logging.WARNING)
    others = {name: value for name, value in model_params.items() if name != "base_url"}
    timeout = _timeout(timeout_s)
    library = _http_library(openai)
    try:
        certificates = _certificates(library, target, proxy)
        http_client = _http_client(library, certificates, proxy, max_bytes)
        client = openai.AsyncOpenAI(
            api_key=_key(), base_url=target.url, timeout=timeout, max_retries=0, http_client=http_client, **others
        )
        if isinstance(http_client, openai.DefaultAsyncHttpxClient):
            return client, None
        # This is the client over aiohttp.
        straight = StraightSender(
            client,
            library,
            target.endpoint,
            certificates=certificates,
            connect_timeout_s=_CONNECT_TIMEOUT_S,
            max_bytes=max_bytes,
        )
        return client, straight
    except TypeError as error:
        reason = shorten(str(error), _mask(model_params, proxy))
        misfit: Exception = RecipeError(
            f"model_params cannot be used with the installed openai {openai.__version__}: {reason}."
        )
    except Exception as error:
        # Unexpected errors also become one sentence, before any work.
        reason = f"{type(error).__name__}: {shorten(_without_urls(str(error)), _mask(model_params, proxy))}"
        misfit = LLMUnavailableError(
            f"No client can be made for the LLM server at {shown_url(target.url)} ({reason}): check base_url in "
            "model_params, and the environment variables whose names begin with OPENAI_ or SSL, or end in _PROXY."
        )
    raise misfit


def _certificates(library: ModuleType, target: Target, proxy: Proxy | None) -> ssl.SSLContext:
    secure = target.asked.lower().startswith("https") or (proxy is not None and proxy.needs_certificates)
    # Loading certificates takes time. Without encryption, an empty context is enough.
    context: ssl.SSLContext = library.create_ssl_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return context


def _http_client(library: ModuleType, certificates: ssl.SSLContext, proxy: Proxy | None, max_bytes: int) -> Any:
    """Return an HTTP client that does not read the environment: proxy and certificates are set.

    Without a proxy it is the openai package's client over aiohttp, if it is installed. Finding a free connection among
    many then takes almost no processor time. The default client looks at every connection twice per call.
    """
    import openai

    options: dict[str, Any] = {
        "verify": certificates,
        "trust_env": False,
        # The key must reach only the host that was named.
        "follow_redirects": False,
        "event_hooks": {"response": [response_guard(library, max_bytes)]},
    }
    if proxy is not None:
        # The connection to the proxy may be encrypted too; it uses the same certificates.
        tls = {"ssl_context": certificates} if proxy.needs_certificates else {}
        # The client over aiohttp supports fewer kinds of proxies.
        return openai.DefaultAsyncHttpxClient(proxy=library.Proxy(proxy.url, **tls), **options)
    make = getattr(openai, "DefaultAioHttpClient", None)
    try:
        if make is not None:
            return make(**options)
    except (RuntimeError, ImportError):
        # Versions of openai before 3 need another package for it.
        pass
    return openai.DefaultAsyncHttpxClient(**options)


def _http_library(openai: ModuleType) -> ModuleType:
    """Return the HTTP library that this version of openai uses: httpx or its successor."""
    base = next(kind for kind in openai.DefaultAsyncHttpxClient.__mro__ if kind.__name__ == "AsyncClient")
    return sys.modules[base.__module__.partition(".")[0]]


def _own(error: BaseException | None) -> CallFailedError | None:
    """Return the exception, or the one that it wraps, if it is one of our failures."""
    while error is not None and not isinstance(error, CallFailedError):
        error = error.__cause__
    return error


def _proxy_refusal(error: BaseException | None) -> str | None:
    """Return the message of a proxy that refused a connection; None if there was no such refusal."""
    while error is not None and type(error).__name__ != "ProxyError":
        error = error.__cause__
    return None if error is None else str(error) or "it does not say why"


def _without_urls(text: str) -> str:
    return " ".join(shown_url(word.strip("'\"")) if "@" in word else word for word in text.split())
