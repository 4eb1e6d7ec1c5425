"""The earlier turns of a row with text columns: a column of [question, answer] pairs, or of turns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mergeit_ops.core.formats.base import Problem
from mergeit_ops.core.formats.content import as_text, is_empty, read_content
from mergeit_ops.core.formats.exchanges import TurnContent
from mergeit_ops.core.formats.turns import known_turns, parsed

__all__ = ["History", "read_history"]


@dataclass(frozen=True)
class History:
    """The earlier turns of a row.

    :param said: the turns in order, without blank ones. What names no speaker counts as said by the user.
    :param problem: `reasoning` or `more_than_text` as for other rows; `bad_row` if it is not clear who says what; None
        for a history that can be read.
    """

    said: tuple[TurnContent, ...] = ()
    problem: Problem | None = None

    def texts(self, by_assistant: bool) -> list[str]:
        """Return what the assistant says, or what others say."""
        return [turn.text for turn in self.said if turn.by_assistant == by_assistant and turn.text]


def read_history(value: Any) -> History:
    """Read a history.

    :param value: a list of [question, answer] pairs, or of turns with their speakers, such as `{"role": "user",
        "content": "..."}`. The list, or each of its entries, may be JSON text. An empty value is no history.
    """
    if is_empty(value):
        return History()
    found = [part for entry in _entries(value) for part in _turns_of(entry)]
    problems = {problem for _, problem in found}
    said = tuple(turn for turn, _ in found if turn.text or turn.thoughts or turn.calls)
    order: tuple[Problem, ...] = ("reasoning", "more_than_text", "bad_row")
    return History(said, next((problem for problem in order if problem in problems), None))


def _entries(value: Any) -> list[Any]:
    if isinstance(value, str):
        found = parsed(value)
        value = value if found is None else found
    entries = value if isinstance(value, (list, tuple)) else [value]
    read = (parsed(entry) if isinstance(entry, str) else None for entry in entries)
    return [given if found is None else found for given, found in zip(entries, read, strict=True)]


def _turns_of(entry: Any) -> Iterator[tuple[TurnContent, Problem | None]]:
    """Yield the turns of an entry, and what keeps each of them from being merged."""
    if is_empty(entry):
        return
    if isinstance(entry, Mapping):
        yield _turn(entry)
    elif not isinstance(entry, (list, tuple)):
        yield TurnContent(as_text(entry), False), "bad_row"
    elif entry and all(isinstance(part, Mapping) for part in entry):
        yield from map(_turn, entry)
    else:
        for number, part in enumerate(entry):
            content = read_content(part)
            problem: Problem | None = "bad_row" if content.odd or number > 1 else None
            yield TurnContent(content.text, number == 1), "more_than_text" if content.more else problem


def _turn(fields: Mapping[str, Any]) -> tuple[TurnContent, Problem | None]:
    known = known_turns([fields])
    if not known:
        texts = (read_content(fields[name]).text for name in ("content", "value", "text") if fields.get(name))
        return TurnContent("\n".join(texts), False), "bad_row"
    turn, said = known[0], known[0].said
    if turn.has_trace or said.thoughts:
        return said, "reasoning"
    if said.calls or turn.has_more or turn.content.more:
        return said, "more_than_text"
    if turn.speaker == "system":
        # It is not a question, and it could contradict the row's own system prompt.
        return said._replace(text=""), "bad_row"
    return said, "bad_row" if turn.content.odd else None
