"""Reading a model's answer: one merged row, or a reason why there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

import json_repair

from mergeit_ops.core.sample import Sample

__all__ = ["MAX_REPLY_CHARS", "FailureReason", "ReplyError", "parse_reply"]

MAX_REPLY_CHARS = 1_000_000
"""Longer answers are not read at all."""

# The repair library needs quadratic time on some texts; at this length that is a fraction of a second.
_MAX_REPAIR_CHARS = 20_000
_MAX_OPENING_BRACES = 64
_CLOSED_OBJECT = re.compile(r"""["'”][\s,]*\}\Z""")
_FIELDS = ("instruction", "input", "output")


class FailureReason(str, Enum):
    """Why a group of rows has no merge: the closed list of reason codes."""

    API_FAILED = "api_failed"
    UNPARSABLE = "unparsable"
    REFUSED = "refused"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    ECHO = "echo"
    NO_CHOICES = "no_choices"
    BUDGET = "budget"
    UNENCODABLE = "unencodable"
    BAD_ROW = "bad_row"

    def __str__(self) -> str:
        return self.value


class ReplyError(Exception):
    """An answer that cannot be used.

    :param reason: the reason code, also available as `reason`.
    """

    def __init__(self, reason: FailureReason) -> None:
        super().__init__(reason)
        self.reason = reason


def parse_reply(text: str, parents: Sequence[Sample]) -> Sample:
    """Read a merged row from the text a model answered with.

    Plain JSON, JSON in a code fence, text around the object, an array of one object and nearly-JSON are read.
    Nearly-JSON must visibly end, so that an answer that was cut off is never completed by guessing. Fields the
    merge has no use for are ignored. A missing `input` is an empty one when no parent has any.

    :param text: the whole answer.
    :param parents: the rows that were to be merged; `system` is taken over when they all share it.
    :return: the merged row, its texts exactly as the model wrote them.
    :raises ReplyError: `empty` (nothing there, or a blank instruction or output), `echo` (a parent given back), or
        `unparsable` (everything else). No other exception is raised, whatever the text.
    """
    if len(text) > MAX_REPLY_CHARS:
        raise ReplyError(FailureReason.UNPARSABLE)
    body = _without_thoughts(text.strip("\ufeff \t\r\n"))
    if not body:
        raise ReplyError(FailureReason.EMPTY)
    row = _sole_row(body)
    merged = _checked(row, parents)
    if any(_normal(merged) == _normal(parent) for parent in parents):
        raise ReplyError(FailureReason.ECHO)
    return merged


def _without_thoughts(text: str) -> str:
    """Cut the reasoning that some models put in front of their answer."""
    if text.startswith("<think>") and "</think>" in text:
        return text.split("</think>", 1)[1].strip()
    return text


def _sole_row(text: str) -> Mapping[str, Any]:
    for reader in (_whole, _fenced, _embedded, _repaired):
        row = reader(text)
        if row is not None:
            return row
    raise ReplyError(FailureReason.UNPARSABLE)


def _whole(text: str) -> Mapping[str, Any] | None:
    value = _load(text)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        return value
    if value is not None:
        # Valid JSON of another shape: searching inside it would pick one of several rows at random.
        raise ReplyError(FailureReason.UNPARSABLE)
    return None


def _fenced(text: str) -> Mapping[str, Any] | None:
    if not (text.startswith("```") and text.endswith("```") and len(text) >= 6):
        return None
    header, _, inner = text.partition("\n")
    if not inner:
        inner = header.removeprefix("```json").removeprefix("```")
    return _whole(inner[:-3].strip()) if inner[:-3].strip() else None


def _embedded(text: str) -> Mapping[str, Any] | None:
    rows = list(_objects_in(text))
    if len(rows) > 1:
        raise ReplyError(FailureReason.UNPARSABLE)
    return rows[0] if rows else None


def _objects_in(text: str) -> Iterator[Mapping[str, Any]]:
    """Yield the JSON objects in a text that look like rows, not looking inside one already found."""
    decoder = json.JSONDecoder(strict=False)
    position = 0
    for _ in range(_MAX_OPENING_BRACES):
        position = text.find("{", position)
        if position < 0:
            return
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            position += 1
            continue
        if "instruction" in value and "output" in value:
            yield value
        position = end


def _repaired(text: str) -> Mapping[str, Any] | None:
    start, end = text.find("{"), text.rfind("}") + 1
    if start < 0 or end <= start or end - start > _MAX_REPAIR_CHARS:
        return None
    candidate = text[start:end]
    if not _CLOSED_OBJECT.search(candidate[-64:]):
        return None
    try:
        value = json_repair.loads(candidate, skip_json_loads=True)
    except Exception:
        # A repair library guesses; whatever stops it, the text is not an answer.
        return None
    if isinstance(value, dict) and set(value) <= set(_FIELDS):
        return value
    return None


def _load(text: str) -> Any:
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def _checked(row: Mapping[str, Any], parents: Sequence[Sample]) -> Sample:
    material = row.get("input")
    if "input" not in row and any(parent.input.strip() for parent in parents):
        raise ReplyError(FailureReason.UNPARSABLE)
    texts = (row.get("instruction"), "" if material is None else material, row.get("output"))
    if not all(isinstance(text, str) for text in texts):
        raise ReplyError(FailureReason.UNPARSABLE)
    instruction, given, output = (str(text) for text in texts)
    for text in (instruction, given, output):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise ReplyError(FailureReason.UNPARSABLE) from None
    if not instruction.strip() or not output.strip():
        raise ReplyError(FailureReason.EMPTY)
    systems = {parent.system for parent in parents}
    return Sample(instruction, given, output, system=systems.pop() if len(systems) == 1 else "")


def _normal(sample: Sample) -> tuple[str, ...]:
    return tuple(" ".join(text.split()) for text in (sample.instruction, sample.input, sample.output))
