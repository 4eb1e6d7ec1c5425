"""The one view of an instruction row that grouping, merging and scoring share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """One instruction/response pair, whatever columns it was stored in.

    :param instruction: what is asked.
    :param input: the material the instruction works on; empty when there is none.
    :param output: the response.
    :param system: the system prompt of a chat row; empty when there is none.
    """

    instruction: str
    input: str
    output: str
    system: str = ""

    @property
    def query(self) -> str:
        """Return the instruction, a space and the input where there is one (MergeIT section 3.1: the text embedded)."""
        instruction, material = self.instruction.strip(), self.input.strip()
        return f"{instruction} {material}" if material else instruction
