"""Layouts with one column of turns: OpenAI's `messages` and ShareGPT's `conversations`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mergeit_ops.core.formats.base import (
    BESIDE_TEXT,
    FormatName,
    Reading,
    as_text,
    has_more_beside,
    is_empty,
    one_turn,
    parents_value,
)
from mergeit_ops.core.formats.content import Content, in_form_of, read_content
from mergeit_ops.core.sample import Sample

Speaker = Literal["system", "user", "assistant", "tool"]

_SPELLINGS: Mapping[Speaker, tuple[str, ...]] = {
    "system": ("system", "developer"),
    "user": ("user", "human", "prompter"),
    "assistant": ("assistant", "gpt", "chatgpt", "bing", "bard", "model", "bot"),
    "tool": (
        "tool",
        "function",
        "function_call",
        "function_response",
        "observation",
        "tool_call",
        "tool_calls",
        "tool_response",
        "tool_result",
    ),
}
_SPEAKERS: Mapping[str, Speaker] = {
    spelling: speaker for speaker, spellings in _SPELLINGS.items() for spelling in spellings
}

_TEXT_FIELD_OF: Mapping[str, str] = {"role": "content", "from": "value"}
_TEXT_FIELDS = tuple(_TEXT_FIELD_OF.values())

_CONTENT_FIELDS = (
    *_TEXT_FIELDS,
    *("reasoning_content", "reasoning", "thinking", "refusal"),
    *("function_call", "tool_calls", "audio", "image", "video"),
)
"""Further fields of a turn whose text is part of what is said; any other text or number is a note about the turn."""


@dataclass(frozen=True)
class _Turn:
    """A turn of a speaker that is known.

    :param speaker: who speaks.
    :param fields: the turn as it stands in the row.
    :param role_field: the field that names the speaker.
    :param text_field: the field that holds the content.
    """

    speaker: Speaker
    fields: Mapping[str, Any]
    role_field: str
    text_field: str

    @property
    def content(self) -> Content:
        """What is said."""
        return read_content(self.fields.get(self.text_field))

    @property
    def has_more(self) -> bool:
        """Whether further fields hold something that is said or done."""
        return any(
            not is_empty(value) and (name in _CONTENT_FIELDS if isinstance(value, str) else isinstance(value, _NESTED))
            for name, value in self.fields.items()
            if name not in (self.role_field, self.text_field)
        )


_NESTED = (Mapping, list, tuple, bytes)


@dataclass(frozen=True)
class ChatFormat:
    """One column with a list of turns, and optionally one with the system prompt.

    The names of the fields of a turn are told from the turn: `role` and `content`, or `from` and `value`.

    :param name: the layout's name in recipes.
    :param column: the column of turns.
    :param system_key: the column of the system prompt; a system turn comes before it.
    """

    name: FormatName
    column: str
    system_key: str = "system"

    @property
    def required_columns(self) -> tuple[str, ...]:
        """See `SampleFormat`."""
        return (self.column,)

    @property
    def columns(self) -> tuple[str, ...]:
        """See `SampleFormat`."""
        return (self.column, self.system_key, *BESIDE_TEXT)

    def read(self, row: Mapping[str, Any]) -> Reading:
        """See `SampleFormat`."""
        given = row.get(self.column)
        if not isinstance(given, (list, tuple)):
            return Reading(Sample("", "", ""), "bad_row")
        turns = _known_turns(given)
        contents = [turn.content for turn in turns]
        said: dict[Speaker, list[str]] = {speaker: [] for speaker in _SPELLINGS}
        for turn, content in zip(turns, contents, strict=True):
            said[turn.speaker].append(content.text)
        prompt = "\n\n".join(said["system"]).strip() or as_text(row.get(self.system_key)).strip()
        sample = Sample("\n".join(said["user"]), "", "\n".join(said["assistant"]), prompt)
        if len(turns) < len(given):
            return Reading(sample, "bad_row")
        if len(said["user"]) > 1 or len(said["assistant"]) > 1:
            return Reading(sample, "multi_turn")
        order = [turn.speaker for turn in turns if turn.speaker in ("user", "assistant")]
        if order != ["user", "assistant"] or any(content.odd for content in contents):
            return Reading(sample, "bad_row")
        if (
            said["tool"]
            or any(content.more for content in contents)
            or any(turn.has_more for turn in turns)
            or has_more_beside(row)
        ):
            return Reading(sample, "more_than_text")
        is_filled = sample.instruction.strip() and sample.output.strip()
        return Reading(sample, None if is_filled else "bad_row")

    def write(self, sample: Sample, parents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """See `SampleFormat`."""
        turns_of = [_known_turns(parent[self.column]) for parent in parents]
        prompts = _first_turns(turns_of, "system")
        fields: dict[str, Any] = {}
        turns = [
            _like(_first_turns(turns_of, "user"), one_turn(sample)),
            _like(_first_turns(turns_of, "assistant"), sample.output),
        ]
        with_column = [parent[self.system_key] for parent in parents if self.system_key in parent]
        if prompts and (sample.system or len(prompts) == len(parents)):
            turns.insert(0, _like(prompts, sample.system))
        elif sample.system and with_column:
            fields[self.system_key] = parents_value(sample.system, with_column)
        elif sample.system:
            asks = turns_of[0][0]
            said = in_form_of(sample.system, asks.fields.get(asks.text_field))
            turns.insert(0, {asks.role_field: "system", asks.text_field: said})
        return fields | {self.column: turns}


def spoken(value: Any) -> list[tuple[str, str]] | None:
    """Return who says what in a column of turns, for people to read; None where the value is none.

    :param value: of any column of a row.
    """
    if not isinstance(value, (list, tuple)) or not value:
        return None
    turns = _known_turns(value)
    if len(turns) < len(value):
        return None
    return [(turn.fields[turn.role_field], turn.content.text) for turn in turns]


def _known_turns(given: Sequence[Any]) -> list[_Turn]:
    return [turn for turn in map(_turn, given) if turn is not None]


def _turn(fields: Any) -> _Turn | None:
    """Return a turn, or None where nobody known speaks."""
    if not isinstance(fields, Mapping):
        return None
    role_field = "role" if isinstance(fields.get("role"), str) else "from"
    if not isinstance(fields.get(role_field), str):
        return None
    speaker = _SPEAKERS.get(fields[role_field]) or _SPEAKERS.get(_plain(fields[role_field]))
    if speaker is None:
        return None
    text_field = _TEXT_FIELD_OF[role_field]
    if fields.get(text_field) is None:
        # A table whose rows name their fields differently has all of them in every turn, null where they are not used.
        text_field = next((name for name in _TEXT_FIELDS if fields.get(name) is not None), text_field)
    return _Turn(speaker, fields, role_field, text_field)


def _plain(role: str) -> str:
    return role.strip().lower().replace("-", "_").replace(" ", "_")


def _first_turns(turns_of: Sequence[Sequence[_Turn]], speaker: Speaker) -> list[_Turn]:
    """Return each parent's first turn of a speaker, where it has one."""
    firsts = (next((turn for turn in turns if turn.speaker == speaker), None) for turns in turns_of)
    return [turn for turn in firsts if turn is not None]


def _like(models: Sequence[_Turn], text: str) -> dict[str, Any]:
    """Return a turn in the form of the first of some; further fields keep what all of them agree on, else null."""
    first = models[0]
    turn = {
        name: value if all(name in model.fields and model.fields[name] == value for model in models) else None
        for name, value in first.fields.items()
    }
    turn[first.role_field] = first.fields[first.role_field]
    turn[first.text_field] = in_form_of(text, first.fields.get(first.text_field))
    return turn
