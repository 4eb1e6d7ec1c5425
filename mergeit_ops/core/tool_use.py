"""The tools that a row offers, and how its conversation uses them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Call", "PlainTurn", "Tool", "ToolResult", "ToolUse"]


class Tool(NamedTuple):
    """A tool that may be called.

    :param name: of its function.
    :param schema: JSON Schema of its arguments, as JSON text; empty: it says nothing about them.
    """

    name: str
    schema: str


class Call(NamedTuple):
    """A call of a tool.

    :param name: of the tool; empty where the call has none that can be read.
    :param arguments: a JSON object, as text; None: the arguments are no JSON object.
    :param call_id: what its result refers to; empty: nothing.
    """

    name: str
    arguments: str | None
    call_id: str = ""


class ToolResult(NamedTuple):
    """What a tool gave back.

    :param call_id: of its call; empty: it does not say.
    :param name: of the tool; empty: it does not say.
    :param number: of results that stand in it; None: nobody can tell.
    """

    call_id: str = ""
    name: str = ""
    number: int | None = None


class PlainTurn(NamedTuple):
    """That the user or the assistant says something, so that the conversation goes on."""


@dataclass(frozen=True)
class ToolUse:
    """The tools of a row and what happens to them.

    :param tools: those that the row offers.
    :param events: calls, results and what is said between them, in their order.
    :param unread: why a part of it cannot be read: `unreadable_tools`, `unreadable_call`; empty: all can.
    """

    tools: tuple[Tool, ...] = ()
    events: tuple[Call | ToolResult | PlainTurn, ...] = ()
    unread: str = ""
