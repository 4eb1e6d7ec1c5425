"""The one view of an instruction row that grouping, merging and scoring share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from mergeit_ops.core.tool_use import ToolUse


class Round(NamedTuple):
    """A question of a conversation and its answer.

    :param question: what has been said since the last answer by everybody else, tools included.
    :param answer: what the assistant says; never blank.
    """

    question: str
    answer: str


class Exchange(NamedTuple):
    """A question of a conversation and what the assistant writes then: a trace, an answer, or both.

    :param question: what has been said since by everybody else, tools included.
    :param trace: the reasoning trace, without marks; None: there is none.
    :param answer: what stands behind it, for others to read; may be empty.
    :param response: both as one text. A trace that a row keeps apart stands in `<think>` before its answer.
    :param complete: whether the trace has an end, and an answer or a tool call behind it.
    """

    question: str
    trace: str | None
    answer: str
    response: str
    complete: bool


@dataclass(frozen=True)
class Sample:
    """One instruction/response pair, whatever columns it was stored in.

    :param instruction: what is asked; of a conversation all questions, joined by line breaks.
    :param input: the material the instruction works on; empty when there is none.
    :param output: the response; of a conversation all answers, joined by line breaks.
    :param system: the system prompt of a chat row; empty when there is none.
    :param rounds: the questions and answers of a conversation in their order; empty where there is just one question
        and one answer, those above.
    :param exchanges: all that is asked and written, with traces and answers told apart; empty for a row without a
        trace. What stands above has traces that are marked in a text and those in channels, and none of other fields.
    :param tool_use: its tools and their calls; None where nobody has asked for them.
    :param source: the text that a model made the pair of; empty where there is none, or nobody asks for it.
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
        """Return all texts that it says, as plain data."""
        texts: dict[str, Any] = {name: getattr(self, name) for name in ("instruction", "input", "output", "system")}
        return texts | ({"rounds": [list(part) for part in self.rounds]} if self.rounds else {})

    @property
    def parts(self) -> dict[str, Any]:
        """Return what it holds beside its texts, as plain data; empty for most rows."""
        parts: dict[str, Any] = {"exchanges": [list(part) for part in self.exchanges]} if self.exchanges else {}
        parts |= {} if self.tool_use is None else {"tool_use": repr(self.tool_use)}
        return parts | ({"source": self.source} if self.source else {})

    @property
    def query(self) -> str:
        """Return the instruction, a space and the input where there is one (MergeIT section 3.1: the text embedded)."""
        instruction, material = self.instruction.strip(), self.input.strip()
        return f"{instruction} {material}" if material else instruction
