"""The parts of a row that a scorer reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

from mergeit_ops.core.formats.base import SampleFormat
from mergeit_ops.core.formats.exchanges import answers_only, whole_responses
from mergeit_ops.core.sample import Sample

__all__ = ["READS", "VIEWS", "Read", "View"]

Read = Literal["answer", "response"]
View = Literal["answer", "response", "parts", "tool_use"]

READS: tuple[Read, ...] = ("answer", "response")
"""Values in a recipe: the answers without their reasoning traces, or both."""


def _with_tool_use(layout: SampleFormat, row: Mapping[str, Any]) -> Sample:
    return replace(layout.read(row).sample, tool_use=layout.tool_use(row))


VIEWS: Mapping[View, Callable[[SampleFormat, Mapping[str, Any]], Sample]] = {
    "answer": lambda layout, row: answers_only(layout.read(row).sample),
    "response": lambda layout, row: whole_responses(layout.read(row).sample),
    "parts": lambda layout, row: layout.read(row).sample,
    "tool_use": _with_tool_use,
}
"""Maps the name of a view to its reader of rows: also with traces and answers separated, or with tool calls."""
