"""Cutting an answer into the pieces that are compared one by one: sentences, list items, table rows, blocks of code."""

from __future__ import annotations

import re
from collections.abc import Iterator

_FENCE = re.compile(r"\s*(?:```|~~~)")
_LIST_MARK = re.compile(r"\s*(?:[-*+•–▪]|\(?\d{1,3}[.):、]|\(?[A-Za-z][.)]|#{1,6})\s+(?=\S)")
# An end mark with the quotes and brackets that close with it. Marks of Chinese and Japanese need no space after them.
_END = re.compile(r"[.!?…]+[\"'”’)\]*_]*(?=\s)|[。！？；｡]+[\"'”’」』）]*")
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘]+$")
_ABBREVIATIONS = """
    mr mrs ms dr prof rev gen st mt vs e.g i.e eg ie cf fig figs vol pp approx dept nos
"""
_NEVER_LAST = frozenset(_ABBREVIATIONS.split())
# These end a sentence where a capital follows.
_LATE_ABBREVIATIONS = "etc inc ltd co corp jr sr u.s u.k u.n a.m p.m ph.d b.c a.d al est"
_SELDOM_LAST = frozenset(_LATE_ABBREVIATIONS.split())
# Where one sentence says several things: semicolons, colons, dashes, and commas before a conjunction.
_CLAUSE_END = re.compile(r"\s*[;:；：]\s+|\s+[–—-]\s+|[；：，、]|,\s+(?:(?:and|but|or|while)\s+)?")
_FEWEST_WORDS = 2
# A word, or one character of a script that is written without spaces.
_UNIT = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]|[^\s\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]+"
)
_MAX_UNITS = 120
"""Longest piece: embedding models cut what lies beyond their window (256 tokens for the default one)."""


def split_sentences(text: str) -> list[str]:
    """Cut a text into sentences, list items (without their marks), table rows and blocks of code.

    Sentences end at line breaks and at end marks, Latin or CJK, but not at abbreviations, initials and list numbers. A
    block of code is cut at its blank lines only. Pieces without a letter or digit are dropped, and those of more than
    120 words (or characters, in scripts without spaces) are cut evenly.

    :param text: any text.
    :return: pieces in order, without surrounding white space; the whole text where no piece has a letter or digit;
        empty for a blank text.
    """
    pieces = [part for piece in _pieces(text) if _says_something(piece) for part in _within_window(piece.strip())]
    return pieces or ([text.strip()] if text.strip() else [])


def split_clauses(sentence: str) -> list[str]:
    """Cut a sentence at its inner marks: what a rewriting may have made one sentence of several.

    :param sentence: a piece that `split_sentences` gave.
    :return: clauses of at least two words (or characters, in scripts without spaces), a shorter one joined to the one
        before it; the sentence alone where there is nothing to cut.
    """
    clauses: list[str] = []
    start = 0
    for end in [*_CLAUSE_END.finditer(sentence), None]:
        clause = sentence[start : end.start() if end else len(sentence)]
        if clauses and min(map(_length, (clause, clauses[-1]))) < _FEWEST_WORDS:
            clauses[-1] = f"{clauses[-1]}, {clause}"
        else:
            clauses.append(clause)
        start = end.end() if end else start
    return [clause for clause in clauses if _says_something(clause)] or [sentence]


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
    start = 0
    for end in _END.finditer(line):
        if _ends(line[start : end.start()], end.group(), line[end.end() :].lstrip()):
            yield line[start : end.end()]
            start = end.end()
    yield line[start:]


def _ends(before: str, mark: str, after: str) -> bool:
    if not mark.startswith(".") or mark.startswith(".."):
        return True
    last = _LAST_WORD.search(before)
    word = last.group().lower() if last else ""
    # "J. Smith", "1. Boil": an initial or a number in front of its text.
    if word in _NEVER_LAST or (len(word) == 1 and word.isalpha() and word != "i") or before.strip().isdigit():
        return False
    return word not in _SELDOM_LAST or after[:1].isupper()


def _says_something(piece: str) -> bool:
    return any(character.isalnum() for character in piece)


def _length(text: str) -> int:
    return sum(1 for _ in _UNIT.finditer(text))


def _within_window(piece: str) -> Iterator[str]:
    units = list(_UNIT.finditer(piece))
    if len(units) <= _MAX_UNITS:
        yield piece
        return
    parts = -(-len(units) // _MAX_UNITS)
    bounds = [units[len(units) * part // parts].start() for part in range(1, parts)]
    for start, stop in zip([0, *bounds], [*bounds, len(piece)], strict=True):
        yield piece[start:stop].strip()
