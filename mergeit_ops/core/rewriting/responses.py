"""Ask for the response to a new instruction."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from mergeit_ops.core.merging.prompts import Message
from mergeit_ops.core.rewriting.chains import Chain, ChainCall
from mergeit_ops.core.rewriting.replies import read_response
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.chat_marks import without_marks
from mergeit_ops.core.text.token_estimate import estimate_tokens

__all__ = ["RESPONSE_SYSTEM_PROMPT", "answered", "response_question"]

RESPONSE_SYSTEM_PROMPT = """\
You answer requests that people send to a language model. Do all that the request asks, correctly and completely, in \
its language and in the form it asks for. Begin with the answer itself; write nothing about the request or yourself."""


def answered(instructions: Generator[ChainCall, Any, Sample], old: Sample, regenerate: bool) -> Chain:
    """Ask for a new instruction, then for its response.

    :param instructions: generator that returns the row with its new instruction.
    :param old: the row that is rewritten.
    :param regenerate: whether a model writes the response; if not, it is empty, because the old one answers another
        instruction.
    """
    new = yield from instructions
    response = ""
    if regenerate:
        response = yield response_question(new, old)
    return replace(new, output=response)


def response_question(new: Sample, old: Sample) -> ChainCall:
    """Return the question for the response: the new instruction, with the row's system prompt if it has one.

    :param new: the row with its new instruction.
    :param old: the row as it was. The response is expected to be about as long as the old one.
    """
    request = f"{new.instruction}\n\n{new.input}" if new.input.strip() else new.instruction
    messages: tuple[Message, ...] = (
        {"role": "system", "content": without_marks(old.system or RESPONSE_SYSTEM_PROMPT)},
        {"role": "user", "content": without_marks(request)},
    )
    return ChainCall(
        messages,
        parse=lambda text: read_response(text, old),
        expected=old.output,
        completion_tokens=estimate_tokens(old.output),
    )
