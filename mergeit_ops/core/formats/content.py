"""The content of a chat turn: a text, or OpenAI's list of parts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

_TEXT_PARTS = (None, "text", "input_text", "output_text")  # types of parts; the last two are of OpenAI's Responses
_REASONING_PARTS = ("reasoning", "thinking", "redacted_thinking", "think", "thought", "summary_text")
_NOTHING_AS_TEXT = ("", "[]", "{}", "null")


class Content(NamedTuple):
    """The content of a turn.

    :param text: its text; the texts of several parts are joined by line breaks.
    :param more: whether there is other content, such as an image.
    :param odd: whether it is neither a text nor a list of parts.
    :param thoughts: its parts that are reasoning traces.
    """

    text: str
    more: bool = False
    odd: bool = False
    thoughts: tuple[Mapping[str, Any], ...] = ()


def as_text(value: Any) -> str:
    """Return a value as text. None, NaN, a list or a mapping becomes an empty text."""
    if isinstance(value, str):
        return value
    return "" if _is_null(value) or isinstance(value, (list, tuple, Mapping, bytes)) else str(value)


def is_empty(value: Any) -> bool:
    """Return whether a value is empty, including a value of nulls from Arrow and an empty list as text."""
    if _is_null(value):
        return True
    if isinstance(value, str):
        return value.strip() in _NOTHING_AS_TEXT
    if isinstance(value, Mapping):
        return all(map(is_empty, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(is_empty, value))
    return False


def _is_null(value: Any) -> bool:
    # pandas writes NaN for a missing value.
    return value is None or (isinstance(value, float) and math.isnan(value))


def read_content(value: Any) -> Content:
    """Read the content of a turn; None is an empty text."""
    if isinstance(value, str):
        return Content(value)
    if _is_null(value):
        return Content("")
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, (list, tuple)):
        return Content(as_text(value), odd=True)
    texts, more, odd, thoughts = [], False, False, []
    for part in value:
        if isinstance(part, str):
            texts.append(part)
        elif not isinstance(part, Mapping):
            odd |= part is not None
        elif part.get("type") in _REASONING_PARTS or not is_empty(part.get("thinking")):
            thoughts.append(part)
        elif _is_text_part(part):
            texts.append(part["text"])
            more |= any(not is_empty(item) for name, item in part.items() if name not in ("type", "text"))
        else:
            more |= not is_empty(part)
    return Content("\n".join(texts), more, odd, tuple(thoughts))


def in_form_of(text: str, content: Any) -> Any:
    """Return a text in the form of another content: as text, or as a list of one part."""
    if isinstance(content, Mapping):
        return in_form_of(text, [content])[0]
    if not isinstance(content, (list, tuple)):
        return text
    for part in content:
        if isinstance(part, str):
            return [text]
        if isinstance(part, Mapping) and _is_text_part(part):
            # The keys of the part, including those that Arrow filled with nulls.
            return [{**dict.fromkeys(part), **({"type": part["type"]} if "type" in part else {}), "text": text}]
    return [{"type": "text", "text": text}]


def _is_text_part(part: Mapping[str, Any]) -> bool:
    return isinstance(part.get("text"), str) and part.get("type") in _TEXT_PARTS
