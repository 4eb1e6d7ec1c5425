"""Divide an answer into pieces to compare one by one: sentences, list items, table rows and blocks of code."""

from __future__ import annotations

import re
from collections.abc import Iterator

_FENCE = re.compile(r"\s*(?:```|~~~)")
_LIST_MARK = re.compile(r"\s*(?:[-*+•–▪]|\(?\d{1,3}[.):、]|\(?[A-Za-z][.)]|#{1,6})\s+(?=\S)")
# The lookbehinds keep these patterns linear: a match starts at the start of a run, and is not tried again at every
# character of a long run. An end mark with closing quotes and brackets. Chinese and Japanese marks need no space after
# them.
_END = re.compile(r"(?<![.!?…])[.!?…]+[\"'”’)\]*_]*(?=\s)|[。！？；｡]+[\"'”’」』）]*")
_LAST_WORD = re.compile(r"(?<![^\s(\[\"'“‘])[^\s(\[\"'“‘]+$")
_NOT_BLANK = re.compile(r"\S")
_ABBREVIATIONS = """
    mr mrs ms dr prof rev gen st mt vs e.g i.e eg ie cf fig figs vol pp approx dept nos
"""
_NEVER_LAST = frozenset(_ABBREVIATIONS.split())
# These end a sentence if a capital follows.
_LATE_ABBREVIATIONS = "etc inc ltd co corp jr sr u.s u.k u.n a.m p.m ph.d b.c a.d al est"
_SELDOM_LAST = frozenset(_LATE_ABBREVIATIONS.split())
# A word, or one character of a script without spaces.
_UNIT = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]|[^\s\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]+"
)
_MAX_UNITS = 120
"""Longest piece, because embedding models cut a text at their window (256 tokens for the default model)."""


def split_sentences(text: str) -> list[str]:
    """Cut a text into sentences, list items (without their marks), table rows and blocks of code.

    Sentences end at line breaks and at end marks, Latin or CJK, but not at abbreviations, initials and list numbers. A
    block of code is divided only at its blank lines. Pieces without a letter or digit are dropped. Pieces of more than
    120 words (or characters, in scripts without spaces) are divided evenly.

    :param text: any text.
    :return: pieces in order, without surrounding white space; the whole text if no piece has a letter or digit; empty
        for a blank text.
    """
    pieces = [part for piece in _pieces(text) if _says_something(piece) for part in _within_window(piece.strip())]
    return pieces or ([text.strip()] if text.strip() else [])


def _pieces(text: str) -> Iterator[str]:
    block: list[str] | None = None
    for line in text.splitlines():
        if _FENCE.match(line):
            if block:
                yield "\n".join(block)
            block = [] if block is None else None
        elif block is None:
            yield from _sentences(line[_mark_width(line) :])
        elif line.strip():
            block.append(line)
        elif block:
            yield "\n".join(block)
            block = []
    if block:
        yield "\n".join(block)


def _mark_width(line: str) -> int:
    mark = _LIST_MARK.match(line)
    return mark.end() if mark else 0


def _sentences(line: str) -> Iterator[str]:
    start = seen = 0
    for end in _END.finditer(line):
        # From the previous mark, not from the start, because a line of abbreviations would otherwise be copied once for
        # each of them.
        before, opens = line[seen : end.start()], seen == start
        seen = end.end()
        if _ends(before, end.group(), _NOT_BLANK.search(line, seen), opens=opens):
            yield line[start:seen]
            start = seen
    yield line[start:]


def _ends(before: str, mark: str, after: re.Match[str] | None, *, opens: bool) -> bool:
    if not mark.startswith(".") or mark.startswith(".."):
        return True
    last = _LAST_WORD.search(before)
    word = last.group().lower() if last else ""
    # "J. Smith", "1. Boil": an initial or a number before its text.
    if word in _NEVER_LAST or (len(word) == 1 and word.isalpha() and word != "i"):
        return False
    if opens and before.strip().isdigit():
        return False
    return word not in _SELDOM_LAST or (after is not None and after.group().isupper())


def _says_something(piece: str) -> bool:
    return any(character.isalnum() for character in piece)


def _within_window(piece: str) -> Iterator[str]:
    units = list(_UNIT.finditer(piece))
    if len(units) <= _MAX_UNITS:
        yield piece
        return
    parts = -(-len(units) // _MAX_UNITS)
    bounds = [units[len(units) * part // parts].start() for part in range(1, parts)]
    for start, stop in zip([0, *bounds], [*bounds, len(piece)], strict=True):
        yield piece[start:stop].strip()
