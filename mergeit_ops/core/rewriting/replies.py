"""Read a model's answer when it rewrites a row: texts of a JSON object, or the whole answer as a response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mergeit_ops.core.formats.marks import split_reasoning
from mergeit_ops.core.merging.lost_backslashes import lost_backslashes
from mergeit_ops.core.merging.refusals import refuses_to_help
from mergeit_ops.core.merging.replies import MAX_REPLY_CHARS, FailureReason, ReplyError, read_object
from mergeit_ops.core.sample import Sample

__all__ = ["read_response", "read_texts", "schema_of"]


def schema_of(names: Sequence[str]) -> Mapping[str, Any]:
    """Return the JSON schema of an object with some texts.

    :param names: its keys.
    """
    return {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names},
        "required": list(names),
        "additionalProperties": False,
    }


def read_texts(text: str, names: Sequence[str], old: Sample) -> tuple[str, ...]:
    """Read some texts of the JSON object in a model's answer; see `read_object`.

    :param text: the whole answer.
    :param names: keys of the texts.
    :param old: the row that is rewritten.
    :return: the texts, in the order of the names, without whitespace around them. They may be blank.
    :raises ReplyError: `empty`, `refused` or `unparsable`, also for formulas whose backslashes JSON has consumed.
    """
    found = read_object(text, tuple(names))
    values = [found.get(name) for name in names]
    texts = tuple(value.strip() for value in values if isinstance(value, str))
    if len(texts) < len(names) or not all(map(_has_utf_8, texts)):
        raise ReplyError(FailureReason.UNPARSABLE)
    if lost_backslashes(texts, text, (old.instruction, old.input, old.output)):
        raise ReplyError(FailureReason.UNPARSABLE)
    return texts


def read_response(text: str, old: Sample) -> str:
    """Read a response: the whole answer, without the reasoning before it.

    :param text: the whole answer.
    :param old: the row that is rewritten.
    :raises ReplyError: `empty`, `unparsable`, or `refused` unless the row's own response refuses too.
    """
    if len(text) > MAX_REPLY_CHARS:
        raise ReplyError(FailureReason.UNPARSABLE)
    response = split_reasoning(text.lstrip("\ufeff"))[1].strip()
    if not response:
        raise ReplyError(FailureReason.EMPTY)
    if not _has_utf_8(response):
        raise ReplyError(FailureReason.UNPARSABLE)
    if refuses_to_help(response) and not refuses_to_help(old.output):
        raise ReplyError(FailureReason.REFUSED)
    return response


def _has_utf_8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
