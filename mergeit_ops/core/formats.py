"""The column layouts of instruction data: reading a row as a `Sample`, writing a merged `Sample` back.

What comes in goes out: a merged row is written in the layout of its parents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from mergeit_ops.core.sample import Sample

FormatName = Literal["auto", "alpaca", "query_response", "messages", "sharegpt"]
FORMAT_NAMES: tuple[FormatName, ...] = ("auto", "alpaca", "query_response", "messages", "sharegpt")

Problem = Literal["bad_row", "multi_turn"]


@dataclass(frozen=True)
class Reading:
    """A row as a sample, and whether it may be merged.

    :param sample: what could be read; empty texts where nothing could.
    :param problem: None for a row that may be merged; `bad_row` when the instruction or the response is missing, blank
        or not text; `multi_turn` when it is more than one question and one answer.
    """

    sample: Sample
    problem: Problem | None = None


class SampleFormat(Protocol):
    """One column layout."""

    @property
    def name(self) -> FormatName:
        """Return the layout's name in recipes."""

    @property
    def required_columns(self) -> tuple[str, ...]:
        """Return the columns without which no row can be read."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Return all columns that the layout reads and writes, the optional ones included."""

    def read(self, row: Mapping[str, Any]) -> Reading:
        """Read one row; never raises for odd values."""

    def write(self, sample: Sample, parents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the layout's columns for a merged sample; `parents` are the rows it came from."""


@dataclass(frozen=True)
class AlpacaFormat:
    """Three text columns: instruction, optional input, output."""

    instruction_key: str = "instruction"
    query_key: str = "input"
    response_key: str = "output"
    name: FormatName = "alpaca"

    @property
    def required_columns(self) -> tuple[str, ...]:
        """See `SampleFormat`."""
        return (self.instruction_key, self.response_key)

    @property
    def columns(self) -> tuple[str, ...]:
        """See `SampleFormat`."""
        return (self.instruction_key, self.query_key, self.response_key)

    def read(self, row: Mapping[str, Any]) -> Reading:
        """See `SampleFormat`."""
        values = [row.get(self.instruction_key), row.get(self.query_key), row.get(self.response_key)]
        sample = Sample(*map(_as_text, values))
        input_is_odd = not isinstance(values[1], (str, type(None)))
        return _checked(sample, values[0], values[2], odd=input_is_odd)

    def write(self, sample: Sample, parents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """See `SampleFormat`."""
        fields: dict[str, Any] = {self.response_key: sample.output}
        if all(parent.get(self.query_key) is None for parent in parents):
            # No input column, or one that may be of Arrow's null type: what the merge needs stands in the instruction.
            return fields | {self.instruction_key: _one_turn(sample)}
        return fields | {self.instruction_key: sample.instruction, self.query_key: sample.input}


@dataclass(frozen=True)
class QueryResponseFormat:
    """Data-Juicer's own layout: query, response, optional system, instruction and history.

    Where `instruction` holds text, `query` is the material it works on; else `query` is the instruction itself.
    """

    instruction_key: str = "instruction"
    query_key: str = "query"
    response_key: str = "response"
    system_key: str = "system"
    history_key: str = "history"
    name: FormatName = "query_response"

    @property
    def required_columns(self) -> tuple[str, ...]:
        """See `SampleFormat`."""
        return (self.query_key, self.response_key)

    @property
    def columns(self) -> tuple[str, ...]:
        """See `SampleFormat`."""
        return (self.system_key, self.instruction_key, self.query_key, self.response_key, self.history_key)

    def read(self, row: Mapping[str, Any]) -> Reading:
        """See `SampleFormat`."""
        instruction, query, response = (
            row.get(self.instruction_key),
            row.get(self.query_key),
            row.get(self.response_key),
        )
        asked, material = (instruction, query) if _as_text(instruction).strip() else (query, None)
        sample = Sample(_as_text(asked), _as_text(material), _as_text(response), _as_text(row.get(self.system_key)))
        if row.get(self.history_key):
            return Reading(sample, "multi_turn")
        return _checked(sample, asked, response, odd=not isinstance(query, (str, type(None))))

    def write(self, sample: Sample, parents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """See `SampleFormat`."""
        fields: dict[str, Any] = {self.response_key: sample.output}
        if any(_as_text(parent.get(self.instruction_key)).strip() for parent in parents):
            fields |= {self.instruction_key: sample.instruction, self.query_key: sample.input}
        else:
            fields |= {self.query_key: _one_turn(sample)}
            if any(self.instruction_key in parent for parent in parents):
                fields[self.instruction_key] = parents[0].get(self.instruction_key)
        if any(self.system_key in parent for parent in parents):
            fields[self.system_key] = sample.system
        if any(self.history_key in parent for parent in parents):
            fields[self.history_key] = parents[0].get(self.history_key)
        return fields


@dataclass(frozen=True)
class ChatFormat:
    """One column with a list of turns: OpenAI's `messages` or ShareGPT's `conversations`."""

    name: FormatName
    column: str
    role_field: str
    text_field: str
    system_roles: tuple[str, ...]
    user_roles: tuple[str, ...]
    assistant_roles: tuple[str, ...]
    system_column: str | None = None

    @property
    def required_columns(self) -> tuple[str, ...]:
        """See `SampleFormat`."""
        return (self.column,)

    @property
    def columns(self) -> tuple[str, ...]:
        """See `SampleFormat`."""
        return (self.column,) if self.system_column is None else (self.column, self.system_column)

    def read(self, row: Mapping[str, Any]) -> Reading:
        """See `SampleFormat`."""
        turns = row.get(self.column)
        if not isinstance(turns, Sequence) or isinstance(turns, str):
            return Reading(Sample("", "", ""), "bad_row")
        system = _as_text(row.get(self.system_column)) if self.system_column else ""
        asked: list[Any] = []
        answered: list[Any] = []
        strange = False
        for turn in turns:
            if not isinstance(turn, Mapping):
                return Reading(_chat_sample(asked, answered, system), "bad_row")
            role, text = turn.get(self.role_field), turn.get(self.text_field)
            # Tool calls, names, images: a merge of the texts would lose them.
            strange |= any(value for name, value in turn.items() if name not in (self.role_field, self.text_field))
            if role in self.system_roles:
                system = _as_text(text)
            elif role in self.user_roles:
                strange |= bool(answered) and not asked
                asked.append(text)
            elif role in self.assistant_roles:
                answered.append(text)
            else:
                return Reading(_chat_sample(asked, answered, system), "bad_row")
        sample = _chat_sample(asked, answered, system)
        if len(asked) > 1 or len(answered) > 1:
            return Reading(sample, "multi_turn")
        return _checked(sample, next(iter(asked), None), next(iter(answered), None), odd=strange)

    def write(self, sample: Sample, parents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """See `SampleFormat`."""
        user, assistant, system = self._roles_of(parents)
        turns = [(user, _one_turn(sample)), (assistant, sample.output)]
        fields: dict[str, Any] = {}
        if self.system_column is not None and any(parent.get(self.system_column) for parent in parents):
            fields[self.system_column] = sample.system
        elif sample.system:
            turns.insert(0, (system, sample.system))
        fields[self.column] = [{self.role_field: role, self.text_field: text} for role, text in turns]
        return fields

    def _roles_of(self, parents: Sequence[Mapping[str, Any]]) -> tuple[str, str, str]:
        """Return the spelling of user, assistant and system that the first parent uses."""
        used = [turn[self.role_field] for turn in parents[0][self.column]] if parents else []
        user, assistant, system = (
            next((role for role in used if role in roles), roles[0])
            for roles in (self.user_roles, self.assistant_roles, self.system_roles)
        )
        return user, assistant, system


def _messages() -> SampleFormat:
    return ChatFormat(
        name="messages",
        column="messages",
        role_field="role",
        text_field="content",
        system_roles=("system", "developer"),
        user_roles=("user",),
        assistant_roles=("assistant",),
    )


def _sharegpt() -> SampleFormat:
    return ChatFormat(
        name="sharegpt",
        column="conversations",
        role_field="from",
        text_field="value",
        system_roles=("system",),
        user_roles=("human", "user"),
        assistant_roles=("gpt", "assistant"),
        system_column="system",
    )


def resolve_format(
    name: FormatName,
    columns: Sequence[str],
    *,
    instruction_key: str | None = None,
    query_key: str | None = None,
    response_key: str | None = None,
) -> SampleFormat:
    """Return the layout of a dataset.

    :param name: a layout, or `auto` to tell it from the columns.
    :param columns: the dataset's column names.
    :param instruction_key: column of the instruction; None: `instruction`.
    :param query_key: column of the optional input; None: `input` in Alpaca data, `query` in Data-Juicer's layout.
    :param response_key: column of the response; None: `output` in Alpaca data, `response` in Data-Juicer's layout.
    :raises ValueError: if a needed column is missing, or `auto` finds no layout or more than one.
    """
    given: dict[str, Any] = {
        key: value
        for key, value in (
            ("instruction_key", instruction_key),
            ("query_key", query_key),
            ("response_key", response_key),
        )
        if value is not None
    }
    candidates: dict[FormatName, Callable[[], SampleFormat]] = {
        "alpaca": lambda: AlpacaFormat(**given),
        "query_response": lambda: QueryResponseFormat(**given),
        "messages": _messages,
        "sharegpt": _sharegpt,
    }
    there = ", ".join(repr(column) for column in columns) or "none"
    if name != "auto":
        layout = candidates[name]()
        missing = [column for column in layout.required_columns if column not in columns]
        if missing:
            wanted = ", ".join(map(repr, missing))
            raise ValueError(f"the column {wanted} of sample format '{name}' is missing; the dataset has: {there}")
        return layout
    layouts = [make() for make in candidates.values()]
    found = [layout for layout in layouts if set(layout.required_columns) <= set(columns)]
    if given and found and found[0].name == "alpaca":
        # Column names of one's own fit Data-Juicer's layout too: both need no more than two columns.
        return found[0]
    if len(found) > 1:
        names = " and ".join(f"'{layout.name}'" for layout in found)
        raise ValueError(f"the columns fit more than one sample format ({names}); set sample_format to one of them")
    if not found:
        needs = "; ".join(f"{layout.name}: {', '.join(layout.required_columns)}" for layout in layouts)
        raise ValueError(f"no sample format fits; the dataset has the columns {there}, but needs ({needs})")
    return found[0]


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else str(value)


def _checked(sample: Sample, asked: Any, answered: Any, odd: bool = False) -> Reading:
    fits = all(isinstance(text, str) and text.strip() for text in (asked, answered)) and not odd
    return Reading(sample, None if fits else "bad_row")


def _chat_sample(asked: Sequence[Any], answered: Sequence[Any], system: str) -> Sample:
    # All turns take part in the embedding of a long conversation; only single-turn rows are merged.
    return Sample("\n".join(map(_as_text, asked)), "", "\n".join(map(_as_text, answered)), system)


def _one_turn(sample: Sample) -> str:
    return f"{sample.instruction}\n\n{sample.input}" if sample.input.strip() else sample.instruction
