"""The one view of an instruction row that grouping, merging and scoring share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class Round(NamedTuple):
    """A question of a conversation and its answer.

    :param question: what has been said since the last answer by everybody else, tools included.
    :param answer: what the assistant says; never blank.
    """

    question: str
    answer: str


@dataclass(frozen=True)
class Sample:
    """One instruction/response pair, whatever columns it was stored in.

    :param instruction: what is asked; of a conversation all questions, joined by line breaks.
    :param input: the material the instruction works on; empty when there is none.
    :param output: the response; of a conversation all answers, joined by line breaks.
    :param system: the system prompt of a chat row; empty when there is none.
    :param rounds: the questions and answers of a conversation in their order; empty where there is just one question
        and one answer, those above.
    """

    instruction: str
    input: str
    output: str
    system: str = ""
    rounds: tuple[Round, ...] = ()

    @property
    def content(self) -> dict[str, Any]:
        """Return all that it says, as plain data."""
        texts: dict[str, Any] = {name: value for name, value in vars(self).items() if name != "rounds"}
        return texts | ({"rounds": [list(part) for part in self.rounds]} if self.rounds else {})

    @property
    def query(self) -> str:
        """Return the instruction, a space and the input where there is one (MergeIT section 3.1: the text embedded)."""
        instruction, material = self.instruction.strip(), self.input.strip()
        return f"{instruction} {material}" if material else instruction
