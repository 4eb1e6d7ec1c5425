"""Whether the tool calls of a row fit its tools, and the results fit the calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from mergeit_ops.core.scoring.json_schemas import Schemas
from mergeit_ops.core.tool_use import Call, ToolResult, ToolUse

__all__ = ["MEASURES", "tool_call_figures"]

MEASURES = {
    "valid_share": "tool_call_valid_share",
    "calls": "tool_calls",
    "unknown_tools": "tool_call_unknown_tools",
    "malformed_arguments": "tool_call_malformed_arguments",
    "invalid_arguments": "tool_call_invalid_arguments",
    "orphan_results": "tool_call_orphan_results",
    "unanswered_calls": "tool_call_unanswered_calls",
}
"""Maps the name of each measure to the key of its stat."""


def tool_call_figures(use: ToolUse, schemas: Schemas) -> dict[str, float] | str:
    """Return the measures of a row, or why it has none.

    A call is valid if its tool is known, its arguments are a JSON object, and they fit the schema of the tool. The
    share is that of valid calls among all calls and orphan results. A result is an orphan if its id belongs to no call,
    or if no call waits for a result. A call is unanswered if something else is said before its result.

    :param use: the tools of the row and their use.
    :param schemas: checks arguments.
    :return: a figure for each of `MEASURES`; or `no_tool_calls`, `no_tools`, `unreadable_tools`, `unreadable_call` or a
        reason of `Schemas.check`.
    """
    calls = [event for event in use.events if isinstance(event, Call)]
    results = _Results.of(use)
    if use.unread:
        return use.unread
    if not calls and not results.orphans:
        return "no_tool_calls"
    if not use.tools:
        return "no_tools"
    known = {tool.name: tool.schema for tool in use.tools}
    found = dict.fromkeys(MEASURES, 0.0)
    for call in calls:
        verdict = _verdict(call, known, schemas)
        if verdict not in found and verdict != _VALID:
            return verdict
        if verdict in found:
            found[verdict] += 1
    wrong = sum(found.values())
    found["calls"] = float(len(calls))
    found["orphan_results"] = float(results.orphans)
    found["unanswered_calls"] = float(results.unanswered)
    found["valid_share"] = (len(calls) - wrong) / (len(calls) + results.orphans)
    return found


_VALID = ""


def _verdict(call: Call, known: Mapping[str, str], schemas: Schemas) -> str:
    """Return the measure that counts an invalid call, a reason why it cannot be checked, or an empty text."""
    if call.arguments is None and (not call.name or call.name in known):
        return "malformed_arguments"
    if call.name not in known:
        return "unknown_tools"
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return "malformed_arguments"
    fits = schemas.check(known[call.name], arguments)
    if isinstance(fits, str):
        return fits
    return _VALID if fits else "invalid_arguments"


@dataclass
class _Results:
    """Finds the calls of results.

    :param waiting: calls without a result so far, each with whether something else was said after it.
    :param orphans: results without a call.
    :param unanswered: calls without a result although the conversation goes on.
    """

    waiting: list[Call] = field(default_factory=list)
    passed: list[Call] = field(default_factory=list)
    orphans: int = 0

    @classmethod
    def of(cls, use: ToolUse) -> _Results:
        """Match the results of a row."""
        found = cls()
        for event in use.events:
            if isinstance(event, Call):
                found.waiting.append(event)
            elif isinstance(event, ToolResult):
                found._take(event)
            else:
                found.passed += found.waiting
                found.waiting = []
        return found

    @property
    def unanswered(self) -> int:
        return len(self.passed)

    def _take(self, result: ToolResult) -> None:
        if result.number is None:
            # A turn without an id may contain the results of all calls before it.
            self.orphans += 0 if self.waiting else 1
            self.waiting = []
            return
        for _ in range(result.number):
            place = self._place_of(result)
            if place is None:
                self.orphans += 1
            else:
                queue, number = place
                del queue[number]

    def _place_of(self, result: ToolResult) -> tuple[list[Call], int] | None:
        """Return the call of a result: by its id, or the first call of its name, or the first call."""
        for queue in (self.waiting, self.passed):
            for number, call in enumerate(queue):
                if result.call_id and call.call_id:
                    if result.call_id == call.call_id:
                        return queue, number
                elif queue is self.waiting and (not result.name or result.name == call.name):
                    return queue, number
        return None
