"""Make a whole task from a text (TEGIT, also called DoG-Instruct, arXiv 2309.05447)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from mergeit_ops.core.backtranslation.checks import check_sample
from mergeit_ops.core.backtranslation.prompts import DATA_RULE, text_messages
from mergeit_ops.core.formats.marks import split_reasoning
from mergeit_ops.core.merging.prompts import Message
from mergeit_ops.core.merging.refusals import refuses
from mergeit_ops.core.merging.replies import MAX_REPLY_CHARS, FailureReason, ReplyError
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.token_estimate import estimate_tokens

__all__ = ["GROUNDED_TASK_SYSTEM_PROMPT", "GroundedTask", "read_task"]

_MARK = re.compile(r"#\s*(instruction|input|output)\s*#\s*:", re.IGNORECASE)
_NO_INPUT = frozenset({"none", "n/a", "empty", "no input", "noinput", "blank", "null"})
_AROUND = " \t\r\n()[]<>.\"'*"
_MORE_TOKENS = 60
"""Expected tokens of an instruction and the marks; the output is about as long as the text."""

GROUNDED_TASK_SYSTEM_PROMPT = f"""\
You make tasks that train language models. You are given a text. Make of it one task that it can answer, and write \
the answer.

- The instruction is what a person asks for who does not know the text. It stands for itself and never points to a \
text.
- The input is material that the task works on, such as a passage to be summarised or data to be sorted. If the task \
needs some, copy it word for word from the text. Most tasks need none; then leave it blank.
- The output carries out the instruction completely, as a helpful assistant writes it. Everything that it states is \
in the text: add no fact, no number and no name. Leave out what does not belong to the answer, such as menus, \
advertisements and remarks of the author about themselves.
- Write in the language of the text. Copy code, formulas, names and numbers exactly.

{DATA_RULE}

Answer in this form and write nothing else. Each mark stands at the beginning of a line, once:

#instruction#: the instruction
#input#: the input, or nothing
#output#: the output"""


@dataclass(frozen=True)
class GroundedTask:
    """Asks a model to make a task from a text: instruction, input and output, all based on the text.

    It replaces the task generator of TEGIT, a model with 7B parameters that was trained to turn a document into a task
    and marks the three parts in the same way. Here a prompt tells any model what to write. The published code drops a
    document without an input; here the input may be missing.
    """

    name: ClassVar[str] = "grounded_task"
    schema: ClassVar[Mapping[str, Any] | None] = None

    def messages(self, text: str) -> tuple[Message, ...]:
        """See `BacktranslationMethod`."""
        return text_messages(
            GROUNDED_TASK_SYSTEM_PROMPT,
            "Make a task of this text.",
            text,
            "Answer with the three marks #instruction#:, #input#: and #output#: and what belongs to each.",
        )

    def read(self, reply: str, text: str) -> Sample:
        """See `BacktranslationMethod`."""
        sample = read_task(reply)
        check_sample(sample, text)
        return sample

    def completion_tokens(self, text: str) -> int:
        """See `BacktranslationMethod`."""
        return estimate_tokens(text) + _MORE_TOKENS


def read_task(reply: str) -> Sample:
    """Split a reply at its marks, wherever they are. Text before the first mark and reasoning are not read.

    :param reply: the whole reply.
    :return: the task, without whitespace around its parts. An input such as "none" counts as empty.
    :raises ReplyError: `empty`, `refused`, or `unparsable`: a mark is missing, occurs twice, or has no text after it.
        The input may be missing.
    """
    if len(reply) > MAX_REPLY_CHARS:
        raise ReplyError(FailureReason.UNPARSABLE)
    body = split_reasoning(reply.lstrip("\ufeff"))[1]
    if not body.strip():
        raise ReplyError(FailureReason.EMPTY)
    before, *marked = _MARK.split(body)
    names = [name.lower() for name in marked[::2]]
    parts = dict(zip(names, (part.strip() for part in marked[1::2]), strict=True))
    if not names and refuses(before):
        raise ReplyError(FailureReason.REFUSED)
    if len(parts) < len(names) or not parts.get("instruction") or not parts.get("output") or not _has_utf_8(body):
        raise ReplyError(FailureReason.UNPARSABLE)
    material = parts.get("input", "")
    if material.strip(_AROUND).lower() in _NO_INPUT:
        material = ""
    return Sample(parts["instruction"], material, parts["output"])


def _has_utf_8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
