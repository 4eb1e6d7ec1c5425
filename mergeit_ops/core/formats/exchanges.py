"""Rows with reasoning traces: their questions, traces and answers, and rows reduced to answers or responses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from mergeit_ops.core.formats.content import is_empty
from mergeit_ops.core.formats.rounds import with_rounds
from mergeit_ops.core.formats.traces import part_trace
from mergeit_ops.core.sample import Exchange, Sample

__all__ = ["TurnContent", "answers_only", "exchanges_of", "traces_in", "whole_responses", "with_traces"]

_TRACE_KEYS = ("text", "thinking", "reasoning", "summary", "content")
_DEEPEST = 8  # nesting of lists and mappings


class TurnContent(NamedTuple):
    """What a turn says.

    :param text: its text.
    :param by_assistant: whether it is the assistant's; otherwise it is a question.
    :param thoughts: traces in its other fields.
    :param is_trace: whether the text itself is a trace, as in an analysis channel.
    :param calls: whether it calls a tool or is a tool's result.
    """

    text: str
    by_assistant: bool
    thoughts: tuple[str, ...] = ()
    is_trace: bool = False
    calls: bool = False


def exchanges_of(turns: Sequence[TurnContent]) -> tuple[Exchange, ...]:
    """Return the questions, traces and answers of a conversation; empty if it has no trace.

    A trace in a separate turn belongs to the assistant's next turn, if that follows directly.

    :param turns: turns without system prompts.
    """
    found: list[Exchange] = []
    asked: list[str] = []
    before: list[str] = []
    for number, turn in enumerate(turns):
        if not turn.by_assistant:
            if turn.text:
                asked.append(turn.text)
            continue
        after = turns[number + 1] if number + 1 < len(turns) else None
        if turn.is_trace:
            before.append(turn.text)
            if after is not None and after.by_assistant:
                continue
        parted = part_trace("" if turn.is_trace else turn.text)
        apart = [*before, *turn.thoughts]
        before = []
        inline = [] if parted.trace is None else [parted.trace]
        # Some rows have the same trace in several fields.
        traces = list(dict.fromkeys(text.strip() for text in (*apart, *inline)))
        trace = "\n\n".join(filter(None, traces)) if traces else None
        if trace is None and not parted.answer.strip():
            continue
        goes_on = turn.calls or (after is not None and (after.by_assistant or after.calls))
        complete = parted.closed and (bool(parted.answer.strip()) or goes_on)
        found.append(Exchange("\n".join(asked), trace, parted.answer, _response(turn, apart, parted), complete))
        asked = []
    return tuple(found) if any(each.trace is not None for each in found) else ()


def _response(turn: TurnContent, apart: Sequence[str], parted: Any) -> str:
    if parted.trace is not None or not apart:
        return turn.text
    thoughts = "\n\n".join(dict.fromkeys(text.strip() for text in apart))
    return f"<think>\n{thoughts}\n</think>\n\n{parted.answer}".strip()


def with_traces(turns: Sequence[TurnContent], traces: tuple[str, ...]) -> list[TurnContent]:
    """Return the turns, with the traces of other columns added to the assistant's last one."""
    last = max((number for number, turn in enumerate(turns) if turn.by_assistant), default=None)
    return [
        turn._replace(thoughts=(*traces, *turn.thoughts)) if number == last else turn
        for number, turn in enumerate(turns)
    ]


def traces_in(values: Iterable[Any]) -> tuple[str, ...]:
    """Return the texts of traces in separate fields or columns: texts, or lists and mappings with texts."""
    return tuple(filter(None, map(_trace_text, values)))


def _trace_text(value: Any, depth: int = 0) -> str:
    """Return the text of a trace in a separate field or column.

    :param value: a text, or lists and mappings with texts, as servers return them. Encrypted traces have no text.
    """
    if isinstance(value, str):
        return value
    if is_empty(value) or depth > _DEEPEST:
        return ""
    if isinstance(value, Mapping):
        return next(filter(None, (_trace_text(value.get(name), depth + 1) for name in _TRACE_KEYS)), "")
    if isinstance(value, (list, tuple)):
        return "\n".join(filter(None, (_trace_text(item, depth + 1) for item in value)))
    return ""


def answers_only(sample: Sample) -> Sample:
    """Return a row as if the assistant had written only its answers; a row without a trace is unchanged."""
    return _with(sample, ((each.question, each.answer) for each in sample.exchanges))


def whole_responses(sample: Sample) -> Sample:
    """Return a row with each trace before its answer, from any form of storage; a row without a trace is unchanged."""
    return _with(sample, ((each.question, each.response) for each in sample.exchanges))


def _with(sample: Sample, said: Iterable[tuple[str, str]]) -> Sample:
    if not sample.exchanges:
        return sample
    said = list(said)
    output = "\n".join(answer for _, answer in said)
    return with_rounds(replace(sample, output=output, rounds=(), exchanges=()), _questions_as(sample, said))


def _questions_as(sample: Sample, said: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """Return one question and its answer without rounds, however the layout joins the parts of the question."""
    return [(sample.instruction, said[0][1])] if len(said) == 1 and not sample.rounds else said
