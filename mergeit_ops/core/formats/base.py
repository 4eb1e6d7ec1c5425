"""What every layout gives: a row as a sample and whether it may be merged, a merged sample as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from mergeit_ops.core.sample import Sample

FormatName = Literal["auto", "alpaca", "query_response", "messages", "sharegpt"]
FORMAT_NAMES: tuple[FormatName, ...] = ("auto", "alpaca", "query_response", "messages", "sharegpt")

Problem = Literal["bad_row", "multi_turn", "more_than_text"]

BESIDE_TEXT = ("tools", "images", "videos", "audios")
"""Columns of what belongs to a conversation and is no text, as Data-Juicer and LLaMA-Factory name them."""

_NOTHING_AS_TEXT = ("", "[]", "{}", "null")


@dataclass(frozen=True)
class Reading:
    """A row as a sample, and whether it may be merged.

    :param sample: what could be read, empty texts where nothing could; of a conversation of several turns all
        questions, and all answers, one below the other.
    :param problem: None for a row that may be merged; `bad_row` when the instruction or the response is missing, blank
        or not text; `multi_turn` when it is more than one question and one answer; `more_than_text` when it has
        something that a merge of texts would lose: a tool call, an image, reasoning in a field of its own.
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
        """Return all columns that the layout reads, the optional ones included."""

    def read(self, row: Mapping[str, Any]) -> Reading:
        """Read one row; never raises for odd values."""

    def write(self, sample: Sample, parents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the layout's columns for a merged sample; `parents` are the rows it came from, at least one."""


def as_text(value: Any) -> str:
    """Return a value as text; None as an empty one."""
    if isinstance(value, str):
        return value
    return "" if value is None else str(value)


def is_empty(value: Any) -> bool:
    """Tell whether a value holds nothing: also one that Arrow has filled up with nulls, or an empty list as text."""
    if value is None:
        return True
    if isinstance(value, str):
        return value.strip() in _NOTHING_AS_TEXT
    if isinstance(value, Mapping):
        return all(map(is_empty, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(is_empty, value))
    return False


def has_more_beside(row: Mapping[str, Any]) -> bool:
    """Tell whether a row has tools, images, videos or audios in columns of their own."""
    return any(name in row and not is_empty(row[name]) for name in BESIDE_TEXT)


def one_turn(sample: Sample) -> str:
    """Return instruction and input as one question."""
    return f"{sample.instruction}\n\n{sample.input}" if sample.input.strip() else sample.instruction


def parents_value(text: str, values: Sequence[Any]) -> Any:
    """Return the first of the parents' values that is this text, as it stands there; else the text, blank as None."""
    return next((value for value in values if as_text(value).strip() == text), text or None)
