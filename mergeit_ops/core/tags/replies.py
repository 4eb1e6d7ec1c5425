"""Read the tags in a model's reply: a list, or a reason why there is none, without guessing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import json_repair

from mergeit_ops.core.formats.marks import split_reasoning
from mergeit_ops.core.merging.refusals import refuses
from mergeit_ops.core.merging.replies import MAX_REPLY_CHARS, FailureReason, ReplyError

__all__ = ["read_tags"]

# The repair library needs quadratic time on some texts.
_MAX_REPAIR_CHARS = 8_000
_MAX_OPENINGS = 64
_BETWEEN_OBJECTS = re.compile(r"[\s,]*")
_PAIRS = (("[", "]"), ("{", "}"))
_DECODER = json.JSONDecoder(strict=False)


def read_tags(text: str) -> tuple[str, ...]:
    """Read the tags of a reply: a JSON list of objects with a `tag`, or of texts.

    One object is one tag. Several successive objects are a list, and so is a list that is the only value of an object.
    A list in a code fence or with text around it is read. A list that is nearly valid JSON is read if it is closed, so
    that a cut-off reply is never completed by guessing. Reasoning is never searched.

    :param text: the whole reply.
    :return: the tags, each once, without tags that have no letter or digit, and with runs of whitespace as one space.
        An empty list is a valid reply.
    :raises ReplyError: `empty`, `refused` or `unparsable`, also if an element of the list is not a text, or no element
        has a letter or digit. No other exception is raised for any text.
    """
    if len(text) > MAX_REPLY_CHARS:
        raise ReplyError(FailureReason.UNPARSABLE)
    answer = split_reasoning(text.lstrip("\ufeff"))[1].strip()
    if not answer:
        raise ReplyError(FailureReason.EMPTY)
    tags = _tags_in(answer)
    if tags is None:
        raise ReplyError(FailureReason.REFUSED if refuses(answer) else FailureReason.UNPARSABLE)
    found = tuple(dict.fromkeys(" ".join(tag.split()) for tag in tags if any(map(str.isalnum, tag))))
    if tags and not found:
        raise ReplyError(FailureReason.UNPARSABLE)
    try:
        "".join(found).encode("utf-8")
    except UnicodeEncodeError:
        raise ReplyError(FailureReason.UNPARSABLE) from None
    return found


def _tags_in(answer: str) -> list[str] | None:
    opening = min((place for place in map(answer.find, "[{") if place >= 0), default=-1)
    if opening < 0:
        return None
    if answer[opening] == "{":
        values, rest = _objects(answer, opening)
        if values:
            # With text between objects, choosing one would be a guess.
            is_all = not any(mark in rest for mark in "[{")
            return _tags_of(values[0] if len(values) == 1 else values) if is_all else None
    # With several lists, choosing one would be a guess.
    elif lists := list(islice(_lists(answer, opening), 2)):
        return lists[0] if len(lists) == 1 else None
    return _repaired(answer, opening)


def _objects(answer: str, opening: int) -> tuple[list[Any], str]:
    """Return successive objects and the text after them; no objects if one cannot be read."""
    values: list[Any] = []
    while answer[opening : opening + 1] == "{":
        try:
            value, end = _DECODER.raw_decode(answer, opening)
        except (ValueError, RecursionError):
            return [], answer
        values.append(value)
        between = _BETWEEN_OBJECTS.match(answer, end)
        opening = between.end() if between else end
    return values, answer[opening:]


def _lists(answer: str, opening: int) -> Iterator[list[str]]:
    """Yield the lists of tags in a text. A list of texts must be the first thing in brackets, because prose also
    contains such lists."""
    first, position = opening, opening
    for _ in range(_MAX_OPENINGS):
        try:
            value, end = _DECODER.raw_decode(answer, position)
        except (ValueError, RecursionError):
            end = position + 1
        else:
            tags = _tags_of(value)
            if tags is not None and (position == first or any(isinstance(item, Mapping) for item in value)):
                yield tags
        position = answer.find("[", end)
        if position < 0:
            return


def _repaired(answer: str, opening: int) -> list[str] | None:
    closing = "]" if answer[opening] == "[" else "}"
    candidate = answer[opening : answer.rfind(closing) + 1]
    if not candidate or len(candidate) > _MAX_REPAIR_CHARS:
        return None
    if any(candidate.count(left) != candidate.count(right) for left, right in _PAIRS):
        return None
    try:
        tags = _tags_of(json_repair.loads(candidate, skip_json_loads=True))
    except Exception:  # the repair library guesses; if it raises anything, the text is not a list
        return None
    # A tag that the reply does not contain as it was read is made up.
    return tags if tags and all(tag in candidate for tag in tags) else None


def _tags_of(value: Any) -> list[str] | None:
    """Return the tags of a JSON value; None if an element is not a tag."""
    if isinstance(value, Mapping) and "tag" not in value and len(value) == 1:
        (value,) = value.values()
        if not isinstance(value, list):
            return None
    items = value if isinstance(value, list) else [value]
    found = [item.get("tag") if isinstance(item, Mapping) else item for item in items]
    tags = [tag for tag in found if isinstance(tag, str)]
    return tags if len(tags) == len(found) else None
