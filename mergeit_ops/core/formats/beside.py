"""Columns besides the texts of a row that a chat template or a trainer reads."""

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
"""Columns of the system prompt. A layout reads one of them. Merged rows must agree in the others."""

_MORE_THAN_TEXT = (
    *("tools", "functions", "tool_choice", "documents", "objects"),
    *("chosen", "rejected", "rejected_messages", "rejected_response"),
)
_FLAGS = ("kto_tag", "label")
"""Columns that count if they hold a flag (preference data without pairs)."""

_LONGEST_LABEL = 40  # characters of a value that only names a kind of reasoning
_EXACTLY_REASONING = frozenset(
    ("reasoning", "reasoning_content", "reasoning_details", "thinking", "thought", "thoughts", "think", "cot")
)
_SWITCH_POSITIONS = (
    *("on", "off", "true", "false", "yes", "no", "none", "0", "1", "auto", "default", "enabled", "disabled"),
    *("minimal", "low", "medium", "high", "xhigh", "max", "budget", "n/a"),
)


def columns_beside(columns: Iterable[str]) -> tuple[str, ...]:
    """Return the columns of a dataset that this module checks.

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
    """Return the columns of a row besides its texts.

    :param row: the columns of a row.
    :param names: columns that this module checks.
    :param own: columns of the layout itself, whatever their names.
    """
    return {name: row[name] for name in names if name in row and name not in own}


def problem_beside(row: Mapping[str, Any]) -> Literal["reasoning", "more_than_text"] | None:
    """Return why the columns besides its texts forbid merging a row; None if they do not.

    :param row: the columns besides its texts; see `only_beside`.
    """
    filled = {name: value for name, value in row.items() if not is_empty(value)}
    if values_of_traces(row):
        return "reasoning"
    if any(_is_more_than_text(name, value) for name, value in filled.items()):
        return "more_than_text"
    return None


def values_of_traces(row: Mapping[str, Any]) -> list[Any]:
    """Return the values of a row's columns that are reasoning traces.

    :param row: the columns besides its texts; see `only_beside`.
    """
    return [
        value
        for name, value in row.items()
        if speaks_of_reasoning(name) and not is_empty(value) and is_trace(name, value)
    ]


def shared_beside(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a row that all parents of a merge must share; empty ones are left out.

    :param row: the columns besides its texts; rows that may not be merged at all do not matter here.
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
    """Return whether a value is a reasoning trace, and not a switch for reasoning or a label.

    :param name: name of its column or field, which refers to reasoning.
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
    """Return whether a value is a list or a mapping, or their JSON text, and not a word."""
    return not isinstance(value, (str, bool, int, float)) or (
        isinstance(value, str) and value.lstrip().startswith(("[", "{"))
    )


def _names_tools(value: Any) -> bool:
    """Return whether arguments of a chat template hold tools or documents, under any name such as `xml_tools`.

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
