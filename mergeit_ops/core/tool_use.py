"""The tools that a row offers, and how its conversation uses them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Call", "PlainTurn", "Tool", "ToolResult", "ToolUse"]


class Tool(NamedTuple):
    """A tool that may be called.

    :param name: name of its function.
    :param schema: JSON Schema of its arguments, as JSON text; empty if there is none.
    """

    name: str
    schema: str


class Call(NamedTuple):
    """A call of a tool.

    :param name: name of the tool; empty if the call has no readable name.
    :param arguments: the text of a JSON object; None if the arguments are not a JSON object.
    :param call_id: id to which its result refers; empty if there is none.
    """

    name: str
    arguments: str | None
    call_id: str = ""


class ToolResult(NamedTuple):
    """The result of a tool.

    :param call_id: id of its call; empty if unknown.
    :param name: name of the tool; empty if unknown.
    :param number: number of results in it; None if unknown.
    """

    call_id: str = ""
    name: str = ""
    number: int | None = None


class PlainTurn(NamedTuple):
    """A turn in which the user or the assistant says something, so that the conversation goes on."""


@dataclass(frozen=True)
class ToolUse:
    """The tools of a row and their use.

    :param tools: tools that the row offers.
    :param events: calls, results and other turns, in order.
    :param unread: why a part cannot be read: `unreadable_tools` or `unreadable_call`; empty if everything can be read.
    """

    tools: tuple[Tool, ...] = ()
    events: tuple[Call | ToolResult | PlainTurn, ...] = ()
    unread: str = ""
