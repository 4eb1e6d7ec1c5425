"""Telling failed calls of an OpenAI-compatible server apart by the type of the exception and the status code.

Where the status is too little, `servers` knows what a server means.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import math
import re
import sys
import time
from collections.abc import Mapping
from datetime import timezone
from importlib import import_module
from typing import Any

from mergeit_ops.llm.failures import CallFailedError, FailureKind, shorten
from mergeit_ops.llm.masking import Mask
from mergeit_ops.llm.servers import Complaint, complaint_in, refused_field, reports_an_error, words_in

__all__ = ["classify", "error_in", "failure_of", "retry_after_s"]

_TIMED_OUT = (
    "no complete answer within timeout_s; a server that works on few requests at a time needs a lower max_concurrency"
)


_BY_STATUS = {
    401: FailureKind.UNAUTHORIZED,
    402: FailureKind.NO_CREDIT,
    403: FailureKind.FORBIDDEN,
    404: FailureKind.NOT_FOUND,
    405: FailureKind.NOT_FOUND,
    408: FailureKind.TRANSIENT,
    409: FailureKind.TRANSIENT,
    410: FailureKind.NOT_FOUND,
    412: FailureKind.FORBIDDEN,
    424: FailureKind.TRANSIENT,
    425: FailureKind.TRANSIENT,
    429: FailureKind.RATE_LIMITED,
    451: FailureKind.REFUSED,
    498: FailureKind.TRANSIENT,
}
_BY_COMPLAINT = {
    Complaint.TOO_LONG: FailureKind.TOO_LONG,
    Complaint.UNKNOWN_MODEL: FailureKind.NOT_FOUND,
    Complaint.WRONG_KEY: FailureKind.UNAUTHORIZED,
    Complaint.NO_CREDIT: FailureKind.NO_CREDIT,
    Complaint.RATE: FailureKind.RATE_LIMITED,
    Complaint.LOADING: FailureKind.LOADING,
    Complaint.CONTENT: FailureKind.REFUSED,
    Complaint.ACCOUNT: FailureKind.FORBIDDEN,
}


_SPAN = re.compile(r"([0-9]*\.?[0-9]+)\s*(ms|s|m|h|d)(?:[a-z]*)", re.IGNORECASE)
_SPANS = re.compile(
    r"\s*(?:[0-9]*\.?[0-9]+\s*(?:ms|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?)\s*)+", re.IGNORECASE
)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PASSED_ON = (FailureKind.TRANSIENT, FailureKind.NOT_FOUND)


def classify(error: BaseException, mask: Mask) -> CallFailedError | None:
    """Translate a foreign exception of a call.

    :param error: what the client library, the HTTP library or the event loop raised.
    :param mask: hides secrets that the server's text may repeat.
    :return: the same failure in our terms; None when it is no failed call, but a mistake in a program.
    """
    import openai

    if isinstance(error, openai.APIStatusError):
        return _of_status(error, mask)
    if isinstance(error, openai.APIConnectionError):
        return _of_connection(error.__cause__ or error)
    if isinstance(error, openai.APIError):
        return CallFailedError(_kind_of(None, error.body), shorten(_server_text(error.body), mask))
    if _is_of_http_library(error) or _aiohttp_error(error) is not None:
        return _of_connection(error)
    if isinstance(error, (asyncio.TimeoutError, TimeoutError)):
        return CallFailedError(FailureKind.TRANSIENT, _TIMED_OUT)
    return None


def error_in(payload: object, mask: Mask, answer_at: str = "choices") -> CallFailedError | None:
    """Read the failure that some servers report in a response that claims to be good.

    :param payload: the decoded body.
    :param mask: hides secrets that the server's text may repeat.
    :param answer_at: the field of the body that the answer is in.
    :return: the failure, by the status in it as far as there is one; None when the body reports none.
    """
    if not isinstance(payload, Mapping) or payload.get("choices"):
        return None
    if not reports_an_error(payload, answer_at):
        return None
    error = payload.get("error")
    details = error if isinstance(error, Mapping) else payload
    codes = [details.get(name) for name in ("code", "status", "status_code", "type")]
    statuses = [int(str(code)) for code in codes if re.fullmatch(r"[45]\d\d", str(code))]
    status = statuses[0] if statuses else None
    detail = f"error in a response: {shorten(_server_text(payload), mask)}"
    return CallFailedError(_kind_of(status, payload), detail, status=status, field=refused_field(status, payload))


def retry_after_s(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Read how long a server asks to wait.

    :param headers: the response headers; `retry-after-ms` (milliseconds) and `retry-after` (seconds, a span such as
        `60s` or `1m30s`, or an HTTP date) are understood.
    :param now: seconds since the epoch; None (the default) takes the clock.
    :return: seconds from now, at least 0; None without a header that can be read.
    """
    exact = _seconds(headers.get("retry-after-ms", ""))
    if exact is not None and exact > 0:
        return exact / 1000
    # A field that comes twice is joined with a comma, which stands in dates too.
    said = headers.get("retry-after", "")
    waits = [seconds for seconds in map(_seconds, said.split(",")) if seconds is not None]
    if waits:
        return max(0.0, *waits)
    try:
        date = email.utils.parsedate_to_datetime(said)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:
        # HTTP's third form of a date names no zone: all of them are in GMT.
        date = date.replace(tzinfo=timezone.utc)
    return max(0.0, date.timestamp() - (time.time() if now is None else now))


def _seconds(text: str) -> float | None:
    """Read a number of seconds, or a span with units; None for anything else."""
    try:
        seconds = float(text)
    except ValueError:
        parts = _SPAN.findall(text) if _SPANS.fullmatch(text) else []
        seconds = sum(float(number) * _UNITS[unit.lower()] for number, unit in parts) if parts else math.nan
    return seconds if math.isfinite(seconds) else None


def failure_of(
    status: int | None, body: object, mask: Mask, *, text: str = "", wait_s: float | None = None
) -> CallFailedError:
    """Translate an error response.

    :param status: its HTTP status; None if there is only a body.
    :param body: decoded.
    :param mask: hides secrets that the server's text may repeat.
    :param text: of the response, for a body without a message.
    :param wait_s: seconds that the server asks to wait; None when it does not say.
    """
    text = _server_text(body) or text
    field = refused_field(status, body)
    kind = _kind_of(status, body, wait_s)
    if field is not None and kind in _PASSED_ON:
        # Whatever the status of a gateway: what refuses a parameter once refuses it again.
        kind = FailureKind.BAD_REQUEST
    return CallFailedError(
        kind,
        shorten(text, mask) if status is None else f"HTTP {status}: {shorten(text, mask)}",
        status=status,
        retry_after=wait_s,
        field=field,
    )


def _of_status(error: Any, mask: Mask) -> CallFailedError:
    response = error.response
    wait_s = retry_after_s(response.headers)
    return failure_of(int(error.status_code), _body_of(error), mask, text=str(response.text), wait_s=wait_s)


def _body_of(error: Any) -> object:
    """Return the decoded body of a response; the client library keeps only the value of `error`."""
    try:
        body = json.loads(error.response.text)
    except (ValueError, RecursionError):
        return error.body
    return body if isinstance(body, (Mapping, list, str)) else error.body


def _kind_of(status: int | None, body: object, wait_s: float | None = None) -> FailureKind:
    complaint = complaint_in(status, body, wait_s)
    if complaint is not None:
        return _BY_COMPLAINT[complaint]
    if status is None:
        return FailureKind.TRANSIENT
    return _BY_STATUS.get(status) or (FailureKind.TRANSIENT if status >= 500 else FailureKind.BAD_REQUEST)


def _of_connection(error: BaseException) -> CallFailedError:
    original = _aiohttp_error(error)
    name = type(original or error).__name__
    if original is None:
        unreachable = _is_of_http_library(error, "ConnectError", "ConnectTimeout", "UnsupportedProtocol")
    else:
        # Its translation calls every lost connection one that could not be made.
        unreachable = _never_connected(original)
    if unreachable:
        return CallFailedError(FailureKind.UNREACHABLE, f"no connection ({name})")
    return CallFailedError(FailureKind.TRANSIENT, f"connection lost or timed out ({name})")


def _is_of_http_library(error: BaseException | None, *names: str) -> bool:
    """Return whether an exception comes from the HTTP library, which openai has exchanged between its versions."""
    for library in ("httpx2", "httpx"):
        try:
            module = import_module(library)
        except ImportError:
            continue
        kinds = tuple(getattr(module, name) for name in (names or ("RequestError",)))
        if isinstance(error, kinds):
            return True
    return False


def _aiohttp_error(error: BaseException | None) -> BaseException | None:
    """Return the exception of aiohttp that an exception is or comes from; None when there is none."""
    aiohttp = sys.modules.get("aiohttp")
    while aiohttp is not None and error is not None:
        if isinstance(error, aiohttp.ClientError):
            return error
        error = error.__cause__
    return None


def _never_connected(error: BaseException) -> bool:
    """Return whether an exception of aiohttp says that nobody was reached."""
    aiohttp = sys.modules["aiohttp"]
    names = ("ClientConnectorError", "ConnectionTimeoutError", "InvalidURL")
    return isinstance(error, tuple(getattr(aiohttp, name) for name in names if hasattr(aiohttp, name)))


def _server_text(body: object) -> str:
    words = words_in(body)
    if words or not isinstance(body, (Mapping, list)):
        return words
    inner = body.get("error", body) if isinstance(body, Mapping) else body
    try:
        return str(inner)
    except RecursionError:
        return "an error in too many layers to be shown"
