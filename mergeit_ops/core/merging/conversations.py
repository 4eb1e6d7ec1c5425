"""How a model is asked for a merge and how its answer is read, by strategy and style of the prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from mergeit_ops.core.merging.instruction_only import InstructionOnly
from mergeit_ops.core.merging.prompts import (
    DEFAULT_SYSTEM_PROMPT,
    MERGE_SCHEMA,
    PROMPT_STYLES,
    SHORT_SYSTEM_PROMPT,
    Message,
    answer_text,
    build_messages,
    records_text,
)
from mergeit_ops.core.merging.replies import parse_reply
from mergeit_ops.core.sample import Sample

__all__ = ["CONVERSATIONS", "MergeConversation"]


class MergeConversation(Protocol):
    """A way to ask a model for a merge."""

    schema: Mapping[str, Any]
    """JSON schema of the answer."""
    system_prompt: str
    """The system prompt, if the recipe has none of its own."""

    def messages(self, parents: Sequence[Sample], system_prompt: str | None = None) -> tuple[Message, ...]:
        """Build the conversation that asks for a merge.

        :param parents: at least two rows, in the order of the dataset.
        :param system_prompt: replaces `system_prompt`; None keeps it.
        """
        ...

    def read(self, text: str, parents: Sequence[Sample]) -> Sample:
        """Read a merged row from a model's answer.

        :param text: the whole answer.
        :param parents: the rows that were to be merged.
        :raises ReplyError: if it cannot be used.
        """
        ...

    def answer(self, merged: Sample) -> str:
        """Return a merged row as the model would answer it, in the form of the worked examples.

        :param merged: the row.
        """
        ...

    def expected_answer(self, parents: Sequence[Sample]) -> str:
        """Return a text about as long as the answer will be.

        :param parents: the rows to merge.
        """
        ...


class WholeRecord:
    """The model writes the whole merged row: instruction, input and output (MergeIT, stage 2).

    :param style: one of `PROMPT_STYLES`.
    """

    schema = MERGE_SCHEMA

    def __init__(self, style: str = "worked") -> None:
        self._style = style
        self.system_prompt = SHORT_SYSTEM_PROMPT if style == "short" else DEFAULT_SYSTEM_PROMPT

    def messages(self, parents: Sequence[Sample], system_prompt: str | None = None) -> tuple[Message, ...]:
        """See `MergeConversation`."""
        return build_messages(parents, system_prompt, self._style)

    def read(self, text: str, parents: Sequence[Sample]) -> Sample:
        """See `MergeConversation`."""
        return parse_reply(text, parents)

    def answer(self, merged: Sample) -> str:
        """See `MergeConversation`."""
        return answer_text(merged)

    def expected_answer(self, parents: Sequence[Sample]) -> str:
        """See `MergeConversation`."""
        return records_text(parents)


CONVERSATIONS: Mapping[str, Mapping[str, MergeConversation]] = {
    "llm": {style: WholeRecord(style) for style in PROMPT_STYLES},
    "instruction": {style: InstructionOnly(style) for style in PROMPT_STYLES},
}
"""Conversations by merge strategy and style of the prompt."""
