"""Layouts with one column of turns: OpenAI's `messages` and ShareGPT's `conversations`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mergeit_ops.core.formats.base import FormatName, Reading, one_turn
from mergeit_ops.core.formats.beside import only_beside
from mergeit_ops.core.formats.content import as_text
from mergeit_ops.core.formats.tool_use import read_tool_use
from mergeit_ops.core.formats.turns import (
    first_turns,
    in_turns_form,
    known_turns,
    like,
    read_conversation,
    system_prompt_as,
    turns_in,
)
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.tool_use import ToolUse


@dataclass(frozen=True)
class ChatFormat:
    """One column with a list of turns, or their JSON text, and optionally one with the system prompt.

    The names of a turn's fields are detected in the turn: `role` and `content`, or `from` and `value`.

    :param name: the layout's name in recipes.
    :param column: the column of turns.
    :param system_key: the column of the system prompt; a system turn comes before it.
    :param beside: further columns that a chat template or a trainer reads.
    """

    name: FormatName
    column: str
    system_key: str = "system"
    beside: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """See `SampleFormat`."""
        return "conversations"

    @property
    def parts(self) -> tuple[str, str, str]:
        """See `SampleFormat`."""
        return ("User", "Input", "Assistant")

    @property
    def required_columns(self) -> tuple[str, ...]:
        """See `SampleFormat`."""
        return (self.column,)

    @property
    def columns(self) -> tuple[str, ...]:
        """See `SampleFormat`."""
        return tuple(dict.fromkeys((self.column, self.system_key, *self.beside)))

    def read(self, row: Mapping[str, Any]) -> Reading:
        """See `SampleFormat`."""
        given = turns_in(row.get(self.column))
        if given is None:
            return Reading(Sample("", "", ""), "bad_row")
        return read_conversation(given, self._further(row), as_text(row.get(self.system_key)).strip())

    def tool_use(self, row: Mapping[str, Any]) -> ToolUse:
        """See `SampleFormat`."""
        system = {"role": "system", "content": as_text(row.get(self.system_key))}
        return read_tool_use([system, *(turns_in(row.get(self.column)) or ())], self._further(row))

    def _further(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return only_beside(row, self.beside, (self.column, self.system_key))

    def write(self, sample: Sample, parents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """See `SampleFormat`."""
        turns_of = [known_turns(turns_in(parent[self.column]) or []) for parent in parents]
        prompt, fields = system_prompt_as(sample.system, turns_of, parents, self.system_key, in_turns=True)
        turns = [
            *prompt,
            like(first_turns(turns_of, "user"), one_turn(sample)),
            like(first_turns(turns_of, "assistant"), sample.output),
        ]
        return fields | {self.column: in_turns_form(turns, parents[0][self.column])}
