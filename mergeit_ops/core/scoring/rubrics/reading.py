"""Read a judge's reply: numbers, answers of yes and no, or one JSON object, without guessing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from mergeit_ops.core.formats.marks import split_reasoning
from mergeit_ops.core.merging.replies import MAX_REPLY_CHARS, FailureReason, ReplyError

__all__ = ["first_line_number", "last_line_number", "opening_number", "sole_object", "yes_or_no"]

_END_OF_THOUGHTS = "</think>"
_EMPHASIS = re.compile(r"[*_`]")
# A digit, a point, a comma, a slash or a dash beside it makes it part of another number, a date or a range.
_NUMBER = re.compile(
    r"(?<![\w.,/-])([-+]?(?:\d+(?:\.\d+)?|\.\d+))(?:\s*(?:/|out of)\s*(\d+(?:\.\d+)?))?(?!\w|\s*%|[.,/:-]\d)",
    re.IGNORECASE,
)
_LABEL = re.compile(r"(?:[^\d:=]*[:=])?[^\w.+-]*")
_RANGE = re.compile(r"\s*(?:-|–|—|to|or|and)\s*\d", re.IGNORECASE)
_ENUMERATED = re.compile(r"[.:)]\s+\S")
_LAST_LINE = re.compile(r"score:\s*(\d+)\Z", re.IGNORECASE)
_ITEM = re.compile(r"^[^\w\n]*(\d+)[^\w\n]+(?:answer[^\w\n]+)?(yes|no)\b(?!\s*/)", re.IGNORECASE | re.MULTILINE)


def first_line_number(text: str) -> float:
    """Read a reply like the released code of AlpaGasus: the whole first line is the number.

    :param text: a reply.
    :return: any number, including NaN and infinity.
    :raises ReplyError: `empty` or `unparsable`.
    """
    try:
        return float(_answer(text).split("\n")[0])
    except ValueError:
        raise ReplyError(FailureReason.UNPARSABLE) from None


def opening_number(text: str, highest: float, parts: Sequence[str] = ()) -> float:
    """Read the number on the first line that is not blank.

    It starts the line, follows a label such as `Score:`, or is the only number of the line. If a point, a colon or a
    bracket separates it from a text after it, it must be the only number. Emphasis and quotes around it are ignored.
    `x/5` and `x out of 5` mean x if 5 is the highest number of the scale.

    :param text: a reply.
    :param highest: of the scale.
    :param parts: names of the parts whose sum is the score, in lower case. A number on a line with such a name may
        belong to the part.
    :return: any number.
    :raises ReplyError: `empty` or `unparsable`: no number, several numbers none of which is first, a range, points out
        of another total, or a JSON object.
    """
    line = _EMPHASIS.sub("", _answer(text).strip().split("\n")[0])
    if "{" in line or any(part in line.lower() for part in parts):
        raise ReplyError(FailureReason.UNPARSABLE)
    label = _LABEL.match(line)
    found = _NUMBER.match(line, label.end() if label else 0)
    # The number of an enumeration also starts a line.
    if found is None or _ENUMERATED.match(line, found.end()):
        numbers = list(islice(_NUMBER.finditer(line), 2))
        found = numbers[0] if len(numbers) == 1 else None
    if found is None or _RANGE.match(line, found.end()) or (found[2] and float(found[2]) != highest):
        raise ReplyError(FailureReason.UNPARSABLE)
    return float(found[1])


def last_line_number(text: str) -> float:
    """Read the number after `Score:` at the end of the last line that is not blank.

    :param text: a reply.
    :return: a whole number of at least 0.
    :raises ReplyError: `empty` or `unparsable`, also if anything follows the number.
    """
    line = _EMPHASIS.sub("", _answer(text).strip().rpartition("\n")[2]).rstrip()
    found = _LAST_LINE.search(line)
    if found is None:
        raise ReplyError(FailureReason.UNPARSABLE)
    return float(found[1])


def yes_or_no(text: str, items: int) -> list[bool]:
    """Read the answers to a checklist: lines that begin with the number of an item and yes or no.

    :param text: a reply.
    :param items: number of items, which are numbered from 1.
    :return: for each item, whether it is answered with yes and never with no.
    :raises ReplyError: `empty`, or `unparsable` if no item is answered.
    """
    said: dict[int, bool] = {}
    for number, word in _ITEM.findall(_answer(text)):
        item = int(number[:6])
        if 1 <= item <= items:
            said[item] = said.get(item, True) and word.lower() == "yes"
    if not said:
        raise ReplyError(FailureReason.UNPARSABLE)
    return [said.get(item, False) for item in range(1, items + 1)]


def sole_object(text: str) -> Mapping[str, Any]:
    """Read the only JSON object of a reply, also in a code fence or with text around it.

    Reasoning that ends with `</think>` is never searched for the object.

    :param text: a reply.
    :raises ReplyError: `empty`, or `unparsable`: no object, several objects, or an object with a key twice.
    """
    if len(text) > MAX_REPLY_CHARS:
        raise ReplyError(FailureReason.UNPARSABLE)
    body = text.strip("\ufeff \t\r\n")
    if not body.startswith(("{", "```")) and _END_OF_THOUGHTS in body:
        body = body.rpartition(_END_OF_THOUGHTS)[2].strip()
    if not body:
        raise ReplyError(FailureReason.EMPTY)
    start = body.find("{")
    # Unfinished reasoning may contain a score that was to be reconsidered.
    if start < 0 or "<think>" in body[:start]:
        raise ReplyError(FailureReason.UNPARSABLE)
    try:
        found, end = _DECODER.raw_decode(body, start)
    except (ValueError, RecursionError):
        raise ReplyError(FailureReason.UNPARSABLE) from None
    rest = body[end:]
    # With another object, or the end of reasoning, choosing a score would be a guess.
    if "{" in rest or _END_OF_THOUGHTS in rest:
        raise ReplyError(FailureReason.UNPARSABLE)
    return found


def _answer(text: str) -> str:
    """Return the text after the reasoning; lines end with a line feed."""
    if len(text) > MAX_REPLY_CHARS:
        raise ReplyError(FailureReason.UNPARSABLE)
    answer = split_reasoning(text.lstrip("\ufeff"))[1]
    if not answer.strip():
        raise ReplyError(FailureReason.EMPTY)
    return answer.replace("\r\n", "\n")


def _without_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_constant=lambda name: math.nan, strict=False)
