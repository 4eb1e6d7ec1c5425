"""Layouts with one column for the prompt and one for the answer, each a text or a list of turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mergeit_ops.core.formats.base import FormatName, Reading, one_turn
from mergeit_ops.core.formats.beside import only_beside
from mergeit_ops.core.formats.content import as_text
from mergeit_ops.core.formats.tool_use import read_tool_use
from mergeit_ops.core.formats.turns import (
    ROLE_FIELDS,
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
class PromptCompletionFormat:
    """TRL's two columns: `prompt`, a text or the turns up to the answer, and `completion`, a text or the answer's turn.

    Either may be turns as JSON text, and one may be a text where the other has turns.

    :param prompt_key: the column of the prompt.
    :param completion_key: the column of the answer.
    :param system_key: the column of the system prompt; a system turn comes before it.
    :param beside: further columns that a chat template or a trainer reads.
    """

    prompt_key: str = "prompt"
    completion_key: str = "completion"
    system_key: str = "system"
    beside: tuple[str, ...] = ()
    name: FormatName = "prompt_completion"

    @property
    def unit(self) -> str:
        """See `SampleFormat`."""
        return "rows"

    @property
    def parts(self) -> tuple[str, str, str]:
        """See `SampleFormat`."""
        return ("Prompt", "Input", "Completion")

    @property
    def required_columns(self) -> tuple[str, ...]:
        """See `SampleFormat`."""
        return (self.prompt_key, self.completion_key)

    @property
    def columns(self) -> tuple[str, ...]:
        """See `SampleFormat`."""
        return tuple(dict.fromkeys((self.prompt_key, self.completion_key, self.system_key, *self.beside)))

    def read(self, row: Mapping[str, Any]) -> Reading:
        """See `SampleFormat`."""
        return read_conversation(self._given(row), self._further(row), as_text(row.get(self.system_key)).strip())

    def tool_use(self, row: Mapping[str, Any]) -> ToolUse:
        """See `SampleFormat`."""
        system = {"role": "system", "content": as_text(row.get(self.system_key))}
        return read_tool_use([system, *self._given(row)], self._further(row))

    def _given(self, row: Mapping[str, Any]) -> list[Any]:
        return [*_turns(row.get(self.prompt_key), "user"), *_turns(row.get(self.completion_key), "assistant")]

    def _further(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return only_beside(row, self.beside, (self.prompt_key, self.completion_key, self.system_key))

    def write(self, sample: Sample, parents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """See `SampleFormat`."""
        asked_of = [known_turns(_turns(parent[self.prompt_key], "user")) for parent in parents]
        answered_of = [known_turns(_turns(parent[self.completion_key], "assistant")) for parent in parents]
        is_text = _is_text(parents[0][self.prompt_key])
        prompt, fields = system_prompt_as(sample.system, asked_of, parents, self.system_key, in_turns=not is_text)
        asked = [*prompt, like(first_turns(asked_of, "user"), one_turn(sample))]
        answered = [like(first_turns(answered_of, "assistant"), sample.output)]
        return fields | {
            self.prompt_key: _in_form(asked, parents[0][self.prompt_key]),
            self.completion_key: _in_form(answered, parents[0][self.completion_key]),
        }


def _is_text(value: Any) -> bool:
    """Tell a text from turns, and from their JSON text: that names speakers, known or not."""
    if not isinstance(value, str):
        return False
    turns = turns_in(value)
    return not turns or not all(isinstance(turn, Mapping) and not ROLE_FIELDS.isdisjoint(turn) for turn in turns)


def _turns(value: Any, speaker: str) -> Sequence[Any]:
    """Return the turns of one side; a text is one turn."""
    turns = None if _is_text(value) else turns_in(value)
    return [{"role": speaker, "content": value}] if turns is None else turns


def _in_form(turns: Sequence[Mapping[str, Any]], column: Any) -> Any:
    return turns[-1]["content"] if _is_text(column) else in_turns_form(turns, column)
