"""Columns beside the texts of a row that a chat template or a trainer reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from mergeit_ops.core.formats.content import as_text, is_empty
from mergeit_ops.core.formats.vocabulary import (
    speaks_of_calls,
    speaks_of_documents,
    speaks_of_media,
    speaks_of_reasoning,
    speaks_of_tools,
)

SYSTEM_COLUMNS = ("system", "system_prompt", "system_message", "system_instruction", "system_instructions")
"""Columns of the system prompt. A layout reads one of them; rows must agree in the others."""

_MORE_THAN_TEXT = (
    *("tools", "functions", "tool_choice", "documents", "objects"),
    *("chosen", "rejected", "rejected_messages", "rejected_response"),
)
_FLAGS = ("kto_tag", "label")
"""Columns that count if they are a flag: preference data without pairs."""

_LONGEST_LABEL = 40  # characters of a value that only names a kind of reasoning
_EXACTLY_REASONING = frozenset(
    ("reasoning", "reasoning_content", "reasoning_details", "thinking", "thought", "thoughts", "think", "cot")
)
_SWITCH_POSITIONS = (
    *("on", "off", "true", "false", "yes", "no", "none", "0", "1", "auto", "default", "enabled", "disabled"),
    *("minimal", "low", "medium", "high", "xhigh", "max", "budget", "n/a"),
)


def columns_beside(columns: Iterable[str]) -> tuple[str, ...]:
    """Return those of a dataset's columns that this module looks at.

    :param columns: the dataset's column names.
    """
    return tuple(name for name in columns if _is_looked_at(name))


def _is_looked_at(name: str) -> bool:
    return (
        name in (*_MORE_THAN_TEXT, *_FLAGS, *SYSTEM_COLUMNS)
        or _is_of_template(name)
        or speaks_of_reasoning(name)
        or speaks_of_tools(name)
        or speaks_of_media(name)
        or speaks_of_documents(name)
    )


def only_beside(row: Mapping[str, Any], names: Iterable[str], own: Iterable[str]) -> dict[str, Any]:
    """Return the columns of a row that stand beside its texts.

    :param row: the columns of a row.
    :param names: columns that this module looks at.
    :param own: columns of the layout itself, whatever their names say.
    """
    return {name: row[name] for name in names if name in row and name not in own}


def problem_beside(row: Mapping[str, Any]) -> Literal["reasoning", "more_than_text"] | None:
    """Tell why a row may not be merged for what stands beside its texts; None where nothing forbids it.

    :param row: what stands beside its texts; see `only_beside`.
    """
    filled = {name: value for name, value in row.items() if not is_empty(value)}
    if values_of_traces(row):
        return "reasoning"
    if any(_is_more_than_text(name, value) for name, value in filled.items()):
        return "more_than_text"
    return None


def values_of_traces(row: Mapping[str, Any]) -> list[Any]:
    """Return the values of a row's columns that are reasoning traces.

    :param row: what stands beside its texts; see `only_beside`.
    """
    return [
        value
        for name, value in row.items()
        if speaks_of_reasoning(name) and not is_empty(value) and is_trace(name, value)
    ]


def shared_beside(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a row that all parents of a merge must have in common; empty ones are left out.

    :param row: what stands beside its texts; rows that may not be merged at all do not matter here.
    """
    shared: dict[str, Any] = {}
    for name, value in row.items():
        if is_empty(value):
            continue
        if name in SYSTEM_COLUMNS:
            shared[name] = as_text(value).strip()
        elif (
            _is_of_template(name)
            or (name in _FLAGS and isinstance(value, bool))
            or speaks_of_reasoning(name)
            or speaks_of_tools(name)
        ):
            shared[name] = value
    return shared


def is_trace(name: str, value: Any) -> bool:
    """Tell whether a value holds a reasoning trace, not just the switch that asks for one, or a label.

    :param name: of its column or field, one for reasoning.
    :param value: the value, not empty.
    """
    if isinstance(value, (bool, int, float)):
        return False
    if isinstance(value, str):
        if value.strip().lower() in _SWITCH_POSITIONS:
            return False
        return name in _EXACTLY_REASONING or len(value.strip()) > _LONGEST_LABEL
    return True


def _is_more_than_text(name: str, value: Any) -> bool:
    if name in _MORE_THAN_TEXT or speaks_of_calls(name):
        return True
    if _is_of_template(name):
        return _names_tools(value)
    if speaks_of_tools(name) or speaks_of_documents(name):
        return _is_structure(value)
    return speaks_of_media(name) and not isinstance(value, (bool, int, float))


def _is_of_template(name: str) -> bool:
    return name.lower().startswith("chat_template")


def _is_structure(value: Any) -> bool:
    """Tell a list or a mapping, also as JSON text, from a word."""
    return not isinstance(value, (str, bool, int, float)) or (
        isinstance(value, str) and value.lstrip().startswith(("[", "{"))
    )


def _names_tools(value: Any) -> bool:
    """Tell whether arguments of a chat template hold tools or documents, under any name such as `xml_tools`.

    :param value: a mapping, also as JSON text.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return False
    if not isinstance(value, Mapping):
        return False
    return any(
        not is_empty(item) and (speaks_of_tools(str(name)) or speaks_of_documents(str(name)))
        for name, item in value.items()
    )
