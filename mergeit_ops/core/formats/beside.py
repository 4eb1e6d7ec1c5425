"""Columns other than the texts of a row that a chat template or a trainer reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Literal

from mergeit_ops.core.formats.content import is_empty

MORE_THAN_TEXT = (
    *("tools", "functions", "function_calls", "function_call", "tool_calls", "tool_choice", "documents"),
    *("image", "images", "video", "videos", "audio", "audios", "objects"),
    *("chosen", "rejected", "rejected_messages", "rejected_response"),
)
"""Columns that a merge of texts cannot carry."""

REASONING = (
    *("reasoning", "reasoning_content", "reasoning_details", "reasoning_trace", "thinking", "thoughts", "thought"),
    *("chain_of_thought", "cot", "think"),
)
"""Columns with a reasoning trace, or with the switch that asks for one."""

SAME_IN_ALL_PARENTS = ("chat_template_kwargs", "chat_template", "kto_tag", "label")
"""Columns that say how the whole row is read; rows are merged only if they agree. A label counts if it is a flag."""

_REASONING_WORDS = frozenset(("reasoning", "thinking", "thought", "thoughts", "cot", "rationale", "rationales"))
_LONGEST_LABEL = 40  # characters of a value that only names a kind of reasoning

_SWITCH_POSITIONS = (
    *("on", "off", "true", "false", "yes", "no", "none", "0", "1", "auto", "default", "enabled", "disabled"),
    *("minimal", "low", "medium", "high", "xhigh", "max", "budget", "n/a"),
)


def columns_beside(columns: Iterable[str]) -> tuple[str, ...]:
    """Return those of a dataset's columns that this module looks at.

    :param columns: the dataset's column names.
    """
    known = (*MORE_THAN_TEXT, *REASONING, *SAME_IN_ALL_PARENTS)
    return tuple(name for name in columns if name in known or _speaks_of_reasoning(name))


@lru_cache(maxsize=1_000)
def _speaks_of_reasoning(column: str) -> bool:
    """Return whether a word of a column's name is one for reasoning, as in `deepseek_reasoning`."""
    return not _REASONING_WORDS.isdisjoint(re.split(r"[^a-z]+", column.lower()))


def problem_beside(row: Mapping[str, Any]) -> Literal["reasoning", "more_than_text"] | None:
    """Return why other columns of a row prevent a merge; None if they do not.

    :param row: the columns of a row.
    """
    for name, value in row.items():
        if is_trace(value) if name in REASONING else _speaks_of_reasoning(name) and _is_long(value):
            return "reasoning"
    if any(not is_empty(row[name]) for name in MORE_THAN_TEXT if name in row):
        return "more_than_text"
    return "more_than_text" if names_tools(row.get("chat_template_kwargs")) else None


def shared_beside(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a row in which all parents of a merge must agree, without empty ones.

    :param row: the columns of a row.
    """
    shared = {name: row[name] for name in SAME_IN_ALL_PARENTS if name in row and not is_empty(row[name])}
    if not isinstance(shared.get("label"), bool):
        shared.pop("label", None)
    # No trace here: what is left is a switch.
    return shared | {name: row[name] for name in REASONING if name in row and not is_empty(row[name])}


def is_trace(value: Any) -> bool:
    """Return whether a value of a field for reasoning holds a trace, not just the switch that asks for one."""
    if isinstance(value, str):
        return bool(value.strip()) and value.strip().lower() not in _SWITCH_POSITIONS
    return not isinstance(value, (bool, int, float)) and not is_empty(value)


def _is_long(value: Any) -> bool:
    """Return whether a value is a text or a list of texts, not a label."""
    if isinstance(value, (list, tuple)):
        return any(map(_is_long, value))
    return isinstance(value, str) and len(value.strip()) > _LONGEST_LABEL


def names_tools(value: Any) -> bool:
    """Return whether arguments of a chat template hold tools, under any name such as `xml_tools`.

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
        not is_empty(item) and any(word in str(name).lower() for word in ("tool", "function", "document"))
        for name, item in value.items()
    )
