"""The interface of layouts: read a row as a sample, with whether it may be merged, and write a merged sample as
columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from mergeit_ops.core.formats.content import as_text
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.tool_use import ToolUse

FormatName = Literal["auto", "alpaca", "query_response", "messages", "sharegpt", "prompt_completion"]
FORMAT_NAMES: tuple[FormatName, ...] = (
    "auto",
    "alpaca",
    "query_response",
    "messages",
    "sharegpt",
    "prompt_completion",
)

Problem = Literal["bad_row", "multi_turn", "more_than_text", "reasoning"]


@dataclass(frozen=True)
class Reading:
    """A row as a sample, and whether it may be merged.

    :param sample: the readable texts, with empty texts for the rest. For a conversation with several turns, all
        questions and all answers, joined by line breaks.
    :param problem: None for a row that may be merged; `reasoning` if it has a reasoning trace; `more_than_text` if it
        has something else that a merge of texts would lose, such as a tool call, an image or an unknown field;
        `bad_row` if the instruction or the response is missing, blank or not a text, a speaker is unknown, or a text
        has half a surrogate pair;
        `multi_turn` if it has more than one question and one answer.
    :param context: JSON text of what the row must share with the other parents of a merge besides the system prompt,
        such as the arguments of the chat template; empty if there is nothing.
    """

    sample: Sample
    problem: Problem | None = None
    context: str = ""

    @property
    def is_readable(self) -> bool:
        """Return whether the row has a text to embed."""
        return bool(self.sample.query.strip())


class SampleFormat(Protocol):
    """One column layout."""

    @property
    def name(self) -> FormatName:
        """Return the layout's name in recipes."""

    @property
    def unit(self) -> str:
        """Return what a row is, for people, in the plural: `rows` or `conversations`."""

    @property
    def parts(self) -> tuple[str, str, str]:
        """Return the names of instruction, input and output, for people."""

    @property
    def required_columns(self) -> tuple[str, ...]:
        """Return the columns without which no row can be read."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Return all columns that the layout reads, including optional ones."""

    def read(self, row: Mapping[str, Any]) -> Reading:
        """Read one row; never raises for odd values."""

    def tool_use(self, row: Mapping[str, Any]) -> ToolUse:
        """Return the tools of a row and how it uses them; never raises for odd values."""

    def write(self, sample: Sample, parents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the layout's columns for a merged sample; `parents` are its original rows, at least one."""


def one_turn(sample: Sample) -> str:
    """Return instruction and input as one question."""
    return f"{sample.instruction}\n\n{sample.input}" if sample.input.strip() else sample.instruction


def parents_value(text: str, values: Sequence[Any]) -> Any:
    """Return the first of the parents' values that is this text, unchanged; otherwise the text, or None if it is
    blank."""
    return next((value for value in values if as_text(value).strip() == text), text or None)


def context_text(shared: Mapping[str, Any]) -> str:
    """Return what parents must share as one text, which is equal for equal values."""
    return json.dumps(shared, sort_keys=True, default=repr) if shared else ""
