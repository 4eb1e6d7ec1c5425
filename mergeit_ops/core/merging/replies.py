"""Read a model's answer: one merged row, or a reason why there is none."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

import json_repair

from mergeit_ops.core.merging.lost_backslashes import lost_backslashes
from mergeit_ops.core.merging.prompts import WORKED_EXAMPLES
from mergeit_ops.core.merging.refusals import refuses, refuses_to_help
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.words import exact_words

__all__ = ["ECHO_CORRECTION", "MAX_REPLY_CHARS", "FailureReason", "ReplyError", "parse_reply", "read_object"]

MAX_REPLY_CHARS = 1_000_000
"""Longer answers are not read at all."""

# The repair library needs quadratic time on some texts. Within these bounds it takes a fraction of a second.
_MAX_REPAIR_CHARS = 8_000
_MAX_REPAIR_BRACES = 32
_MAX_OPENING_BRACES = 64
_END_OF_THOUGHTS = "</think>"
_CLOSED_OBJECT = re.compile(r"""(?<!\\)(?:\\\\)*["'”][\s,]*\}\Z""")
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_STRING_OR_TRAILING_COMMA = re.compile(r'"(?:[^"\\]+|\\.?)*(?:"|\Z)|,(?=\s*[}\]])', re.DOTALL)
_KEY = re.compile(r"""["'“”‘’](instruction|input|output)["'“”‘’]\s*:|\{\s*(instruction|input|output)\s*:""")
_OPEN_VALUE = re.compile(r"""["'“‘]\s*:?\s*\Z""")
_NOT_COMPARED = re.compile(r"\\[nrt]|[\\\s]")
_CODE_POINT = re.compile(r"\\u([0-9a-fA-F]{4})")
_FIELDS = ("instruction", "input", "output")
_NEARLY_THE_SAME = 0.9

ECHO_CORRECTION = (
    "You gave back one record as it was. Write one new record that asks, holds and answers everything of all records. "
    "Answer with the JSON object only."
)
"""Correction for a model that returns a parent or an example unchanged."""


class FailureReason(str, Enum):
    """Why a group of rows has no merge, or a row no score, no tags or no rewriting: the closed list of reason codes."""

    API_FAILED = "api_failed"
    TOO_LONG = "too_long"
    UNPARSABLE = "unparsable"
    REFUSED = "refused"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    ECHO = "echo"
    PARENT_LOST = "parent_lost"
    ADDED_DEMAND = "added_demand"
    NO_CHOICES = "no_choices"
    BUDGET = "budget"
    UNLIKELY = "unlikely"
    UNENCODABLE = "unencodable"
    BAD_ROW = "bad_row"
    NO_LOGPROBS = "no_logprobs"
    DIGITS_MISSING = "digits_missing"
    LENGTH = "length"
    LANGUAGE = "language"
    NEW_URL = "new_url"
    PROCEDURE = "procedure"

    def __str__(self) -> str:
        return self.value


class ReplyError(Exception):
    """An answer that cannot be used.

    :param reason: the reason code, also available as `reason`.
    :param correction: text for the model when it is asked again; empty: it is asked the same question.
    """

    def __init__(self, reason: FailureReason, correction: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.correction = correction


def parse_reply(text: str, parents: Sequence[Sample]) -> Sample:
    """Read a merged row from a model's answer.

    It reads plain JSON, JSON in a code fence, an object with text around it, an array of one object, and nearly valid
    JSON. Nearly valid JSON must be complete and contain every text exactly as it is read, so that a cut-off answer is
    never completed by guessing. Reasoning that ends with `</think>` is never searched for the answer. Fields that a
    merge does not use are ignored. A missing `input` is empty if no parent has one.

    :param text: the whole answer.
    :param parents: the rows that were to be merged; `system` is kept if they all share it.
    :return: the merged row, with the texts as the model wrote them, except for whitespace at their ends.
    :raises ReplyError: `empty` (no text, or a blank instruction or output), `echo` (a worked example, or a parent with
        nine of ten words the same), `refused` (prose that starts like a refusal, or an output that does so although no
        parent's output does), or `unparsable` (everything else, and formulas whose backslashes JSON has consumed). No
        other exception is raised for any text.
    """
    merged = _checked(read_object(text, ("instruction", "output")), parents)
    if refuses_to_help(merged.output) and not any(refuses_to_help(parent.output) for parent in parents):
        raise ReplyError(FailureReason.REFUSED)
    if lost_backslashes(_texts(merged), text, [part for parent in parents for part in _texts(parent)]):
        raise ReplyError(FailureReason.UNPARSABLE)
    normal = _normal(merged)
    if normal in _EXAMPLES or normal in map(_normal, parents) or _is_nearly_one(merged, parents):
        raise ReplyError(FailureReason.ECHO, ECHO_CORRECTION)
    return merged


def read_object(text: str, keys: Sequence[str]) -> Mapping[str, Any]:
    """Read the JSON object in an answer, as described in `parse_reply`.

    :param text: the whole answer.
    :param keys: keys that an object inside other text must have.
    :raises ReplyError: `empty`, `refused` or `unparsable`.
    """
    if len(text) > MAX_REPLY_CHARS:
        raise ReplyError(FailureReason.UNPARSABLE)
    body = text.strip("\ufeff \t\r\n")
    if not body:
        raise ReplyError(FailureReason.EMPTY)
    try:
        return _sole_row(body, keys)
    except ReplyError as error:
        said = body.rpartition(_END_OF_THOUGHTS)[2]
        if error.reason is FailureReason.UNPARSABLE and refuses(said):
            raise ReplyError(FailureReason.REFUSED) from None
        raise


def _sole_row(text: str, keys: Sequence[str]) -> Mapping[str, Any]:
    row = _whole(text) or _fenced(text)
    if row is not None:
        return row
    if _END_OF_THOUGHTS in text:
        # An answer may mention the tag itself. Only an answer that is valid JSON is read from after the first tag.
        text = text.partition(_END_OF_THOUGHTS)[2].strip()
        row = (_whole(text) or _fenced(text)) if text else None
        if row is not None:
            return row
        text = text.rpartition(_END_OF_THOUGHTS)[2].strip()
        if not text:
            raise ReplyError(FailureReason.EMPTY)
    elif text.startswith("<think>"):
        raise ReplyError(FailureReason.UNPARSABLE)
    for reader in (_whole, _fenced, lambda text: _embedded(text, keys), _repaired):
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
        # This is valid JSON of another shape; searching inside it would pick one of several rows at random.
        raise ReplyError(FailureReason.UNPARSABLE)
    return None


def _fenced(text: str) -> Mapping[str, Any] | None:
    if not (text.startswith("```") and text.endswith("```") and len(text) >= 6):
        return None
    header, _, inner = text.partition("\n")
    if not inner:
        inner = header.removeprefix("```json").removeprefix("```")
    return _whole(inner[:-3].strip()) if inner[:-3].strip() else None


def _embedded(text: str, keys: Sequence[str]) -> Mapping[str, Any] | None:
    rows = list(_objects_in(text, keys))
    if not rows:
        return None
    row, start, end = rows[0]
    before, after = text[:start], text[end:]
    # If there is another object, readable or not, or one inside a string of another, choosing one would be a guess.
    if len(rows) > 1 or _KEY.search(before) or _KEY.search(after) or _OPEN_VALUE.search(before[-64:]):
        raise ReplyError(FailureReason.UNPARSABLE)
    return row


def _objects_in(text: str, keys: Sequence[str]) -> Iterator[tuple[Mapping[str, Any], int, int]]:
    """Yield the JSON objects in a text that have the given keys, with their place. Objects inside a found one are
    skipped."""
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
        if all(key in value for key in keys):
            yield value, position, end
        position = end


def _repaired(text: str) -> Mapping[str, Any] | None:
    start, end = text.find("{"), text.rfind("}") + 1
    if start < 0 or end <= start or text[end:].strip(" \t\r\n`"):
        return None
    candidate = text[start:end]
    if not _CLOSED_OBJECT.search(candidate[-64:]):
        return None
    value = _load(_STRING_OR_TRAILING_COMMA.sub(_without_comma, candidate))
    if isinstance(value, dict):
        return value
    value = _guessed(candidate)
    # A text that the answer does not contain as it was read is made up, or has lost something.
    if isinstance(value, dict) and set(value) <= set(_FIELDS) and all(_stands_in(candidate, value[k]) for k in value):
        return value
    return None


def _without_comma(token: re.Match[str]) -> str:
    return "" if token[0] == "," else token[0]


def _guessed(candidate: str) -> Any:
    """Return what the repair library reads from a short text whose braces and quotes are balanced."""
    braces = candidate.count("{")
    if len(candidate) > _MAX_REPAIR_CHARS or braces > _MAX_REPAIR_BRACES or braces != candidate.count("}"):
        return None
    keys = [found[1] or found[2] for found in _KEY.finditer(candidate)]
    if _ESCAPED.sub("", candidate).count('"') % 2 or len(keys) != len(set(keys)):
        return None
    try:
        return json_repair.loads(candidate, skip_json_loads=True)
    except Exception:
        # The repair library guesses. If it raises anything, the text is not an answer.
        return None


def _stands_in(candidate: str, value: Any) -> bool:
    if not isinstance(value, str):
        return True
    written = _CODE_POINT.sub(lambda found: chr(int(found[1], 16)), candidate)
    return any(_NOT_COMPARED.sub("", value) in _NOT_COMPARED.sub("", text) for text in (candidate, written))


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
    instruction, given, output = (str(text).rstrip() for text in texts)
    for text in (instruction, given, output):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise ReplyError(FailureReason.UNPARSABLE) from None
    if not instruction.strip() or not output.strip():
        raise ReplyError(FailureReason.EMPTY)
    systems = {parent.system for parent in parents}
    return Sample(instruction, given, output, system=systems.pop() if len(systems) == 1 else "")


def _texts(sample: Sample) -> tuple[str, str, str]:
    return sample.instruction, sample.input, sample.output


def _is_nearly_one(merged: Sample, parents: Sequence[Sample]) -> bool:
    """Return whether a merge is nearly the same as one parent. This is allowed if its parents are nearly the same."""
    alike = [_are_alike(merged, parent) for parent in parents]
    return any(alike) and not all(alike)


def _are_alike(one: Sample, other: Sample) -> bool:
    """Return whether two rows have nearly all words in common, in every field."""
    fields = zip(_texts(one), _texts(other), strict=True)
    return all(_words_in_common(ours, theirs) >= _NEARLY_THE_SAME for ours, theirs in fields)


def _words_in_common(one: str, other: str) -> float:
    ours, theirs = Counter(exact_words(one)), Counter(exact_words(other))
    total = ours.total() + theirs.total()
    return 2 * (ours & theirs).total() / total if total else 1.0


def _normal(sample: Sample) -> tuple[str, ...]:
    return tuple(" ".join(text.split()) for text in _texts(sample))


_EXAMPLES = frozenset(_normal(example) for _, example in WORKED_EXAMPLES)
