"""Classify failed calls of an OpenAI-compatible server by the type of the exception and the status code.

If the status is not enough, `servers` interprets the message.
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
    "no complete answer within timeout_s; a server that handles few requests at a time needs a lower max_concurrency"
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
    """Translate an exception of a call.

    :param error: exception of the client library, the HTTP library or the event loop.
    :param mask: function that hides secrets, which the server's text may repeat.
    :return: the failure as our exception; None if it is not a failed call but a bug.
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
    """Read the failure that some servers report in a successful response.

    :param payload: the decoded body.
    :param mask: function that hides secrets, which the server's text may repeat.
    :param answer_at: field of the body that holds the answer.
    :return: the failure, classified by the status in the body if there is one; None if the body reports no failure.
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
    """Read the time that a server asks to wait.

    :param headers: the response headers; `retry-after-ms` (milliseconds) and `retry-after` (seconds, a span such as
        `60s` or `1m30s`, or an HTTP date) are understood.
    :param now: seconds since the epoch; None (the default) takes the clock.
    :return: seconds from now, at least 0; None if there is no readable header.
    """
    exact = _seconds(headers.get("retry-after-ms", ""))
    if exact is not None and exact > 0:
        return exact / 1000
    # Repeated fields are joined with a comma, but dates contain commas too.
    said = headers.get("retry-after", "")
    waits = [seconds for seconds in map(_seconds, said.split(",")) if seconds is not None]
    if waits:
        return max(0.0, *waits)
    try:
        date = email.utils.parsedate_to_datetime(said)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:
        # HTTP's third form of a date names no time zone; all forms are in GMT.
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

    :param status: HTTP status; None if there is only a body.
    :param body: decoded.
    :param mask: function that hides secrets, which the server's text may repeat.
    :param text: text of the response, for a body without a message.
    :param wait_s: seconds that the server asks to wait; None if it does not say.
    """
    text = _server_text(body) or text
    field = refused_field(status, body)
    kind = _kind_of(status, body, wait_s)
    if field is not None and kind in _PASSED_ON:
        # Whatever the gateway's status, a refused parameter will be refused again.
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
        # It reports every lost connection as one that could not be made.
        unreachable = _never_connected(original)
    if unreachable:
        return CallFailedError(FailureKind.UNREACHABLE, f"no connection ({name})")
    return CallFailedError(FailureKind.TRANSIENT, f"connection lost or timed out ({name})")


def _is_of_http_library(error: BaseException | None, *names: str) -> bool:
    """Return whether an exception comes from the HTTP library, which differs between versions of openai."""
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
    """Return the exception of aiohttp that an exception is or is caused by; None if there is none."""
    aiohttp = sys.modules.get("aiohttp")
    while aiohttp is not None and error is not None:
        if isinstance(error, aiohttp.ClientError):
            return error
        error = error.__cause__
    return None


def _never_connected(error: BaseException) -> bool:
    """Return whether an exception of aiohttp means that no server was reached."""
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
