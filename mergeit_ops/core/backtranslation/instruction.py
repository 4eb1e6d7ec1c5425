"""Write the instruction that a text answers (instruction backtranslation, Humpback, arXiv 2308.06259)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from mergeit_ops.core.backtranslation.checks import check_sample
from mergeit_ops.core.backtranslation.prompts import DATA_RULE, text_messages
from mergeit_ops.core.merging.prompts import Message
from mergeit_ops.core.merging.replies import FailureReason, ReplyError
from mergeit_ops.core.rewriting.replies import read_texts, schema_of
from mergeit_ops.core.sample import Sample

__all__ = ["INSTRUCTION_SYSTEM_PROMPT", "InstructionFor"]

_NAMES = ("instruction",)
_REPLY_TOKENS = 50
"""Expected tokens of an instruction of 115 to 206 characters (the means in the paper), in its JSON object."""

INSTRUCTION_SYSTEM_PROMPT = f"""\
You write requests for a dataset that trains language models. You are given a text that somebody wrote. Write the \
request of a person for whom this text, word for word as it stands, is the best answer.

- Ask for all that the text gives and for nothing that it lacks. Where it has a form of its own, such as steps, a \
list, a letter, a recipe or code, ask for that form.
- The person has not seen the text and does not know that there is one. Do not point to it, quote it, or give away \
what only the answer can say.
- Write one to three sentences in the language of the text, the way people ask.
- Do not answer the request. Use no web address that is not in the text.

{DATA_RULE}

Answer with one JSON object and nothing else. It has exactly the key "instruction", a string."""


@dataclass(frozen=True)
class InstructionFor:
    """Asks a model for the instruction of a text, which becomes the output unchanged.

    It replaces the backward model of instruction backtranslation, which is trained on swapped instructions and answers
    and gets only the text. Here a prompt without examples tells any model what to write.
    """

    name: ClassVar[str] = "instruction"
    schema: ClassVar[Mapping[str, Any] | None] = schema_of(_NAMES)

    def messages(self, text: str) -> tuple[Message, ...]:
        """See `BacktranslationMethod`."""
        return text_messages(
            INSTRUCTION_SYSTEM_PROMPT,
            "Write the request that this text answers.",
            text,
            "Answer with the JSON object only.",
        )

    def read(self, reply: str, text: str) -> Sample:
        """See `BacktranslationMethod`."""
        (instruction,) = read_texts(reply, _NAMES, Sample("", "", text))
        if not instruction:
            raise ReplyError(FailureReason.EMPTY)
        sample = Sample(instruction, "", text)
        check_sample(sample, text)
        return sample

    def completion_tokens(self, text: str) -> int:
        """See `BacktranslationMethod`."""
        return _REPLY_TOKENS
