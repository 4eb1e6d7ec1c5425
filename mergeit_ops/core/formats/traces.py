"""Separate the reasoning trace in a text from the answer after it."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from mergeit_ops.core.formats.marks import REASONING_MARK

__all__ = ["Parted", "part_trace"]

_START = re.compile(r"[\s\ufeff]*(?:<[|｜]start[|｜]>\s*assistant)?\s*")
_CLOSING = re.compile(r"(?:&lt;|\W)*/", re.IGNORECASE)
_NAME = re.compile(r"(?:&lt;|[^\w])*([\w:.\-▁]+)", re.IGNORECASE)
_LETTERS = re.compile(r"[a-z]+")
_NOT_THE_NAME = frozenset(("begin", "end", "start", "of"))
_SOLUTION = "solution"
_DEEPEST_INDENT = 200  # characters
_QUOTES = {"`": "`", "'": "'", '"': '"', "“": "”", "‘": "’", "«": "»", "「": "」"}
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_SENTENCE_ENDS = '.!?…。！？"”)*`}'

_CHANNEL = re.compile(
    r"(?:<[|｜]start[|｜]>\s*assistant\s*)?<[|｜]channel[|｜]>\s*(?P<name>\w+)(?P<to>[^\n]{0,200}?)<[|｜]message[|｜]>",
    re.IGNORECASE,
)
_CHANNEL_ENDS = re.compile(r"<[|｜](?:end|return|call|start|channel)[|｜]>", re.IGNORECASE)
_CHANNELS_OF_TRACES = ("analysis", "thought", "thinking")

# Marks whose closing mark has another form.
_OWN_ENDS = (
    (re.compile(r"[ \t]*```"), re.compile(r"^[ \t]*```[ \t]*$", re.MULTILINE)),
    (re.compile(r"<[|｜]?channel[|｜]?>"), re.compile(r"<channel[|｜]>")),
    (re.compile(r"<unused94>"), re.compile(r"<unused95>")),
)
_WRAPPED = (
    re.compile(r"<(answer|final_answer|output|response|solution)>(?P<inside>.*)</\1>", re.DOTALL | re.IGNORECASE),
    re.compile(
        r"<[|｜]begin_of_solution[|｜]>(?P<inside>.*?)(?:<[|｜]end_of_solution[|｜]>)?", re.DOTALL | re.IGNORECASE
    ),
)


class Parted(NamedTuple):
    """A text in two parts.

    :param trace: the reasoning, without its marks; several traces are joined by blank lines. None if there is none.
    :param answer: the rest; the whole text, unchanged, if there is no trace.
    :param closed: whether the trace has an end.
    """

    trace: str | None
    answer: str
    closed: bool = True


class _Mark(NamedTuple):
    name: str
    closes: bool
    start: int
    end: int


def part_trace(text: str) -> Parted:
    """Separate the reasoning trace in an assistant's text from its answer, in time linear in the length.

    - A trace starts with a mark such as `<think>` at the beginning of the text and ends with the closing mark of the
      same name. Without a closing mark, the whole text is a trace that was cut off.
    - If the first mark is a closing one, the model's template has opened the trace, and all text before it is the
      trace.
    - Marks in quotes or backticks do not count, nor do closing marks in a block of code if there is another one
      outside.
    - In the answer, only a whole block that begins a line, outside a block of code, is another trace.
    - In channels (Harmony), `analysis` is the trace, and all others are the answer.
    - If the whole answer after a trace is in `<answer>` or a similar tag, the answer is the content of the tag.

    :param text: text of the assistant.
    """
    if _CHANNEL.search(text):
        return _by_channels(text)
    marks = [mark for mark in _marks_of(text) if not _is_quoted(text, mark)]
    if not marks:
        return Parted(None, text)
    fences = [fence.start() for fence in _FENCE.finditer(text)]
    begin = _START.match(text)
    start = begin.end() if begin else 0
    traces: list[str] = []
    answers: list[str] = []
    closed = True
    first = marks[0]
    position = number = 0
    if first.start <= start and not first.closes:
        inside, end = _block(text, marks, fences)
        traces.append(text[first.end : inside])
        position, closed = end, inside < end or _closes_itself(text, first)
        number = next((place for place, mark in enumerate(marks) if mark.start >= end), len(marks))
    elif (end_mark := _end_of_opened(text, marks, fences)) is not None:
        traces.append(text[: marks[end_mark].start])
        position, number = marks[end_mark].end, end_mark + 1
    fences = [fence for fence in fences if fence >= position]  # a block of code in the trace may be unclosed
    while number + 1 < len(marks):
        mark, after = marks[number], marks[number + 1]
        if not mark.closes and after.closes and after.name == mark.name and _is_block(text, mark, fences):
            traces.append(text[mark.end : after.start])
            answers.append(text[position : mark.start])
            position = after.end
            number += 1
        number += 1
    if not traces:
        return Parted(None, text)
    answers.append(text[position:])
    return Parted(_joined(traces), _unwrapped(_joined(answers)), closed)


def _marks_of(text: str) -> list[_Mark]:
    found = []
    for mark in REASONING_MARK.finditer(text):
        called = _NAME.match(mark[0])
        words = _LETTERS.findall(called[1].lower().replace("_", " ")) if called else []
        name = "".join(word for word in words if word not in _NOT_THE_NAME)
        if name != _SOLUTION:
            closes = _CLOSING.match(mark[0]) is not None or "end" in words
            found.append(_Mark(name, closes, mark.start(), mark.end()))
    return found


def _block(text: str, marks: Sequence[_Mark], fences: Sequence[int]) -> tuple[int, int]:
    """Return the end of the trace that the first mark opens, and the start of the text after it."""
    first = marks[0]
    if _closes_itself(text, first):
        return first.end, first.end
    for opens, ends in _OWN_ENDS:
        if opens.match(text, first.start):
            end = ends.search(text, first.end)
            return (end.start(), end.end()) if end else (len(text), len(text))
    behind = [mark for mark in marks[1:] if mark.name == first.name]
    if not any(mark.closes for mark in behind):
        behind = list(marks[1:])
    fences_before = bisect_left(fences, first.end)
    depth, position = 1, first.end
    closing: list[_Mark] = []
    for mark in behind:
        in_code = (bisect_left(fences, mark.start) - fences_before) % 2 == 1
        if mark.closes:
            closing.append(mark)
            depth -= 0 if in_code else 1
        elif not in_code and _begins_line(text, mark.start) and text[position : mark.start].strip():
            # A mark directly after another one is a repetition: the template and the model both open the trace.
            depth += 1
        position = mark.end
        if depth == 0:
            return mark.start, mark.end
    if not closing:
        return len(text), len(text)
    outside = (mark for mark in closing if (bisect_left(fences, mark.start) - fences_before) % 2 == 0)
    last = next(outside, closing[0])
    return last.start, last.end


def _closes_itself(text: str, mark: _Mark) -> bool:
    return text[mark.start : mark.end].rstrip(" >▷＞]").endswith("/")


def _is_quoted(text: str, mark: _Mark) -> bool:
    before, after = text[mark.start - 1 : mark.start], text[mark.end : mark.end + 1]
    return bool(before) and _QUOTES.get(before) == after


def _begins_line(text: str, position: int) -> bool:
    before = text[max(0, position - _DEEPEST_INDENT) : position]
    return not before.rpartition("\n")[2].strip() and ("\n" in before or position <= len(before))


def _is_block(text: str, mark: _Mark, fences: Sequence[int]) -> bool:
    return _begins_line(text, mark.start) and bisect_left(fences, mark.start) % 2 == 0


def _end_of_opened(text: str, marks: Sequence[_Mark], fences: Sequence[int]) -> int | None:
    """Return the number of the mark that ends a trace opened by the template; None if there is no such trace."""
    for number, mark in enumerate(marks):
        if not mark.closes:
            return None
        if bisect_left(fences, mark.start) % 2 == 0 and _ends_a_trace(text, mark):
            return number
    return None


def _ends_a_trace(text: str, mark: _Mark) -> bool:
    """Return whether a mark closes a trace, and is not mentioned in a sentence, with a word and a space before it and a
    space after it."""
    if text[mark.end : mark.end + 1] != " " or text[mark.start - 1 : mark.start] != " ":
        return True
    before = text[max(0, mark.start - 20) : mark.start].rstrip(" ")
    return not before or before[-1] in _SENTENCE_ENDS or before[-1] == "\n"


def _by_channels(text: str) -> Parted:
    traces, answers, closed = [], [], True
    found = list(_CHANNEL.finditer(text))
    before = text[: found[0].start()]
    for number, channel in enumerate(found):
        until = found[number + 1].start() if number + 1 < len(found) else len(text)
        end = _CHANNEL_ENDS.search(text, channel.end(), until)
        said = text[channel.end() : end.start() if end else until]
        if channel["name"].lower() in _CHANNELS_OF_TRACES:
            traces.append(said)
            closed = end is not None or number + 1 < len(found)
        else:
            # The recipient of a call belongs to it.
            to = channel["to"].strip()
            answers.append(f"{to} {said}" if "to=" in to else said)
    if not traces:
        return Parted(None, _joined([before, *answers]))
    return Parted(_joined(traces), _joined([before, *answers]), closed)


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(part.strip() for part in parts if part.strip())


def _unwrapped(answer: str) -> str:
    for wrapped in _WRAPPED:
        if inside := wrapped.fullmatch(answer):
            return inside["inside"].strip()
    return answer
