"""Conversations with tool calls in the form that chat templates take: turns in OpenAI's form, and the tools."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mergeit_ops.core.formats import CHAT_COLUMNS
from mergeit_ops.core.formats.turns import Turn, known_turns, turns_in

__all__ = ["Conversation", "conversation_with_calls"]

_TOOLS = "tools"
_OF_RESULTS = ("name", "tool_call_id")


@dataclass(frozen=True)
class Conversation:
    """A conversation in which the assistant calls tools.

    :param turns: turns with `role` and `content`. Assistant turns that call tools also have `tool_calls`.
    :param tools: available tools as JSON Schemas. Empty if the row does not name them.
    """

    turns: Sequence[Mapping[str, Any]]
    tools: Sequence[Any]

    @property
    def called(self) -> set[str]:
        """Return the names of the called functions."""
        return {call["function"]["name"] for turn in self.turns for call in turn.get("tool_calls", ())}


def conversation_with_calls(row: Mapping[str, Any]) -> Conversation | None:
    """Return the conversation of a row whose assistant calls tools in OpenAI's form.

    :param row: the row as it is stored.
    :return: the conversation, or None if the row has no tool calls, or if a turn or a call cannot be read.
    """
    given = next((turns for name in CHAT_COLUMNS if (turns := turns_in(row.get(name)))), None)
    turns = known_turns(given or ())
    if not given or len(turns) < len(given):
        return None
    try:
        made = [_plain(turn) for turn in turns]
        tools = _parsed(row.get(_TOOLS) or [])
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    if not any("tool_calls" in turn for turn in made) or not isinstance(tools, list):
        return None
    return Conversation(made, tools)


def _plain(turn: Turn) -> dict[str, Any]:
    made: dict[str, Any] = {"role": turn.speaker, "content": turn.content.text}
    fields = turn.further_fields
    if turn.speaker == "tool":
        made |= {name: fields[name] for name in _OF_RESULTS if name in fields}
    if turn.speaker == "assistant" and fields.get("tool_calls"):
        made["tool_calls"] = [_call(call) for call in _parsed(fields["tool_calls"])]
    return made


def _call(given: Mapping[str, Any]) -> dict[str, Any]:
    function = given["function"]
    # Templates write a mapping as JSON, but they would quote a string.
    called = {"name": str(function["name"]), "arguments": _parsed(function.get("arguments") or {})}
    identity = {"id": given["id"]} if given.get("id") else {}
    return {**identity, "type": "function", "function": called}


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
