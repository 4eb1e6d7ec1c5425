"""Check HTTP header fields."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["headers_problem", "text_problem"]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN = ("content-length", "transfer-encoding", "content-type", "connection")


def headers_problem(headers: Mapping[object, object]) -> str | None:
    """Return why headers cannot be sent, without repeating a value.

    :param headers: names to values.
    :return: the end of a sentence that begins with the name of the mapping; None if they can be sent.
    """
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            return f"holds {name!r}, which is not a valid header name"
        if name.lower() in _OWN:
            return f"must not hold {name!r}: the client sets it"
        if not isinstance(value, str):
            return f"must hold texts, but the value of {name!r} is {_article(value)}: put it in quotes"
        what = text_problem(value) if value else None
        if what is not None:
            return f"cannot be sent: the value of {name!r} {what}"
    return None


def text_problem(value: str) -> str | None:
    """Return why a text cannot be the value of a header, without repeating it.

    :param value: the text.
    :return: part of a sentence; None if it can.
    """
    if not value.isascii():
        return "contains characters that are not ASCII"
    if not value.isprintable():
        return "contains a line break or another control character"
    if value != value.strip():
        return "begins or ends with a blank"
    return None


def _article(value: object) -> str:
    return "null" if value is None else f"of type {type(value).__name__}"
