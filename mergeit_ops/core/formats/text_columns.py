"""Layouts with a text column for each part of a sample: Alpaca's and Data-Juicer's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mergeit_ops.core.formats.base import FormatName, Problem, Reading, context_text, one_turn, parents_value
from mergeit_ops.core.formats.beside import only_beside, problem_beside, shared_beside, values_of_traces
from mergeit_ops.core.formats.content import as_text
from mergeit_ops.core.formats.exchanges import TurnContent, exchanges_of, traces_in, with_traces
from mergeit_ops.core.formats.history import History, read_history
from mergeit_ops.core.formats.marks import holds_media, holds_reasoning, holds_tool_call
from mergeit_ops.core.formats.rounds import with_rounds
from mergeit_ops.core.formats.tool_use import read_tool_use
from mergeit_ops.core.sample import Round, Sample
from mergeit_ops.core.text.characters import encodable
from mergeit_ops.core.tool_use import ToolUse


@dataclass(frozen=True)
class AlpacaFormat:
    """Three text columns: instruction, optional input, output; optional system and history.

    `beside` names further columns that a chat template or a trainer reads.
    """

    instruction_key: str = "instruction"
    query_key: str = "input"
    response_key: str = "output"
    system_key: str = "system"
    history_key: str = "history"
    beside: tuple[str, ...] = ()
    name: FormatName = "alpaca"

    @property
    def unit(self) -> str:
        """See `SampleFormat`."""
        return "rows"

    @property
    def parts(self) -> tuple[str, str, str]:
        """See `SampleFormat`."""
        return ("Instruction", "Input", "Output")

    @property
    def required_columns(self) -> tuple[str, ...]:
        """See `SampleFormat`."""
        return (self.instruction_key, self.response_key)

    @property
    def columns(self) -> tuple[str, ...]:
        """See `SampleFormat`."""
        return tuple(dict.fromkeys((*self._own, *self.beside)))

    @property
    def _own(self) -> tuple[str, ...]:
        return (self.instruction_key, self.query_key, self.response_key, self.system_key, self.history_key)

    def read(self, row: Mapping[str, Any]) -> Reading:
        """See `SampleFormat`."""
        asked, material, answered = (row.get(key) for key in (self.instruction_key, self.query_key, self.response_key))
        sample = Sample(as_text(asked), as_text(material), as_text(answered), _prompt(row, self.system_key))
        texts_fit = _is_filled(asked) and _is_filled(answered) and isinstance(material, (str, type(None)))
        return _reading(sample, only_beside(row, self.beside, self._own), row.get(self.history_key), texts_fit)

    def tool_use(self, row: Mapping[str, Any]) -> ToolUse:
        """See `SampleFormat`."""
        return _tool_use(self.read(row).sample, only_beside(row, self.beside, self._own))

    def write(self, sample: Sample, parents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """See `SampleFormat`."""
        fields = {self.response_key: sample.output} | _context(self.system_key, self.history_key, sample, parents)
        if all(parent.get(self.query_key) is None for parent in parents):
            # There is no input column, or it may have Arrow's null type, so the instruction holds the input too.
            return fields | {self.instruction_key: one_turn(sample)}
        return fields | {self.instruction_key: sample.instruction, self.query_key: sample.input}


@dataclass(frozen=True)
class QueryResponseFormat:
    """Data-Juicer's own layout: query, response, optional system, instruction and history.

    If `instruction` holds text, `query` is its input; otherwise `query` is the instruction. `beside` names further
    columns that a chat template or a trainer reads.
    """

    instruction_key: str = "instruction"
    query_key: str = "query"
    response_key: str = "response"
    system_key: str = "system"
    history_key: str = "history"
    beside: tuple[str, ...] = ()
    name: FormatName = "query_response"

    @property
    def unit(self) -> str:
        """See `SampleFormat`."""
        return "rows"

    @property
    def parts(self) -> tuple[str, str, str]:
        """See `SampleFormat`."""
        return ("Query", "Input", "Response")

    @property
    def required_columns(self) -> tuple[str, ...]:
        """See `SampleFormat`."""
        return (self.query_key, self.response_key)

    @property
    def columns(self) -> tuple[str, ...]:
        """See `SampleFormat`."""
        return tuple(dict.fromkeys((*self._own, *self.beside)))

    @property
    def _own(self) -> tuple[str, ...]:
        return (self.instruction_key, self.query_key, self.response_key, self.system_key, self.history_key)

    def read(self, row: Mapping[str, Any]) -> Reading:
        """See `SampleFormat`."""
        instruction, query, response = (
            row.get(key) for key in (self.instruction_key, self.query_key, self.response_key)
        )
        asked, material = (instruction, query) if as_text(instruction).strip() else (query, None)
        sample = Sample(as_text(asked), as_text(material), as_text(response), _prompt(row, self.system_key))
        texts_fit = _is_filled(asked) and _is_filled(response) and isinstance(query, (str, type(None)))
        return _reading(sample, only_beside(row, self.beside, self._own), row.get(self.history_key), texts_fit)

    def tool_use(self, row: Mapping[str, Any]) -> ToolUse:
        """See `SampleFormat`."""
        return _tool_use(self.read(row).sample, only_beside(row, self.beside, self._own))

    def write(self, sample: Sample, parents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """See `SampleFormat`."""
        fields = {self.response_key: sample.output} | _context(self.system_key, self.history_key, sample, parents)
        if any(as_text(parent.get(self.instruction_key)).strip() for parent in parents):
            if all(parent.get(self.query_key) is None for parent in parents):
                return fields | {self.instruction_key: one_turn(sample)}
            return fields | {self.instruction_key: sample.instruction, self.query_key: sample.input}
        fields[self.query_key] = one_turn(sample)
        if any(self.instruction_key in parent for parent in parents):
            fields[self.instruction_key] = parents[0].get(self.instruction_key)
        return fields


def _tool_use(sample: Sample, beside: Mapping[str, Any]) -> ToolUse:
    rounds = sample.rounds or (Round(one_turn(sample), sample.output),)
    turns = [
        {"role": role, "content": text}
        for part in rounds
        for role, text in zip(("user", "assistant"), part, strict=True)
    ]
    return read_tool_use([{"role": "system", "content": sample.system}, *turns], beside)


def _reading(sample: Sample, beside: Mapping[str, Any], history: Any, texts_fit: bool) -> Reading:
    earlier = read_history(history)
    said = [*earlier.said, TurnContent(one_turn(sample), False), TurnContent(sample.output, True)]
    if earlier.said:
        asked = "\n".join([*earlier.texts(by_assistant=False), sample.instruction])
        answered = "\n".join([*earlier.texts(by_assistant=True), sample.output])
        rounds = (("", turn.text) if turn.by_assistant else (turn.text, "") for turn in said)
        sample = with_rounds(replace(sample, instruction=asked, output=answered), rounds)
    problem = _problem(sample, beside, earlier, texts_fit)
    if problem == "reasoning":
        exchanges = exchanges_of(with_traces(said, traces_in(values_of_traces(beside))))
        sample = replace(sample, exchanges=exchanges)
    return Reading(sample, problem, context_text(shared_beside(beside)))


def _problem(sample: Sample, beside: Mapping[str, Any], earlier: History, texts_fit: bool) -> Problem | None:
    texts = (sample.instruction, sample.input, sample.output, sample.system)
    found = (problem_beside(beside), earlier.problem)
    if "reasoning" in found or any(map(holds_reasoning, texts)):
        return "reasoning"
    if "more_than_text" in found or any(map(holds_tool_call, texts)) or any(map(holds_media, texts)):
        return "more_than_text"
    if earlier.problem or any(text != encodable(text) for text in texts):  # half a surrogate pair, from JSON text
        return "bad_row"
    if earlier.said:
        return "multi_turn"
    return None if texts_fit else "bad_row"


def _context(system_key: str, history_key: str, sample: Sample, parents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the columns for system prompt and history of a merged sample, if its parents have them."""
    fields: dict[str, Any] = {}
    if any(system_key in parent for parent in parents):
        fields[system_key] = parents_value(sample.system, [parent.get(system_key) for parent in parents])
    if any(history_key in parent for parent in parents):
        fields[history_key] = parents[0].get(history_key)
    return fields


def _prompt(row: Mapping[str, Any], system_key: str) -> str:
    return as_text(row.get(system_key)).strip()


def _is_filled(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
