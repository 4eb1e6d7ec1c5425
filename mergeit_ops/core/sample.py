"""The common form of an instruction row for grouping, merging and scoring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from mergeit_ops.core.tool_use import ToolUse


class Round(NamedTuple):
    """A question of a conversation and its answer.

    :param question: everything said since the last answer by others, including tools.
    :param answer: the assistant's text; never blank.
    """

    question: str
    answer: str


class Exchange(NamedTuple):
    """A question of a conversation and the assistant's reply: a trace, an answer, or both.

    :param question: everything said since the last reply by others, including tools.
    :param trace: the reasoning trace, without marks; None if there is none.
    :param answer: the visible text after the trace; may be empty.
    :param response: both as one text. A trace that a row stores separately is put in `<think>` before its answer.
    :param complete: whether the trace has an end, with an answer or a tool call after it.
    """

    question: str
    trace: str | None
    answer: str
    response: str
    complete: bool


@dataclass(frozen=True)
class Sample:
    """An instruction/response pair, from any layout.

    :param instruction: the instruction; for a conversation all questions, joined by line breaks.
    :param input: the material for the instruction; empty if there is none.
    :param output: the response; for a conversation all answers, joined by line breaks.
    :param system: the system prompt of a chat row; empty if there is none.
    :param rounds: the questions and answers of a conversation in order; empty if there is only one question and one
        answer, which are above.
    :param exchanges: all questions and replies, with traces and answers separated; empty for a row without a trace. The
        fields above contain traces that are marked in a text or are in channels, but not those in other fields.
    :param tool_use: its tools and their calls; None if they are not needed.
    :param source: the text from which a model made the pair; empty if there is none, or if it is not needed.
    """

    instruction: str
    input: str
    output: str
    system: str = ""
    rounds: tuple[Round, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    tool_use: ToolUse | None = None
    source: str = ""

    @property
    def content(self) -> dict[str, Any]:
        """Return all its texts as plain data."""
        texts: dict[str, Any] = {name: getattr(self, name) for name in ("instruction", "input", "output", "system")}
        return texts | ({"rounds": [list(part) for part in self.rounds]} if self.rounds else {})

    @property
    def parts(self) -> dict[str, Any]:
        """Return its content besides the texts as plain data; empty for most rows."""
        parts: dict[str, Any] = {"exchanges": [list(part) for part in self.exchanges]} if self.exchanges else {}
        parts |= {} if self.tool_use is None else {"tool_use": repr(self.tool_use)}
        return parts | ({"source": self.source} if self.source else {})

    @property
    def query(self) -> str:
        """Return the instruction and, if there is an input, a space and the input (the embedded text in MergeIT,
        section 3.1)."""
        instruction, material = self.instruction.strip(), self.input.strip()
        return f"{instruction} {material}" if material else instruction
