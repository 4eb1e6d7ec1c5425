"""Distinguish tabs that a model meant from backslashes that JSON consumed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

__all__ = ["lost_backslashes"]

# What JSON and Python make of \a, \b, \v and \f. Rows do not contain these characters, but formulas contain the
# letters.
_EATEN = re.compile(r"[\x07\x08\x0b\x0c]")
_ESCAPE = re.compile(r"\\(?:([tr][A-Za-z]+)|.)", re.DOTALL)
_COMMAND = re.compile(r"\\([tr][A-Za-z]+)")
_WORD = re.compile(r"[A-Za-z]+")
_RETURN = re.compile(r"\r([A-Za-z]+)")
# Letters that become a LaTeX command with a backslash and a t before them.
_FORMULA_WORD = re.compile(
    r"ext(?:bf|it|rm|tt|sf|sc|sl|up|md|normal|color|style|width|height|degree|backslash)?|"
    r"a[nu]|anh|ag|binom|frac|ilde|imes|heta|hin|hinspace|hickapprox|hicksim|herefore|iny|itle|o|op|oprule|r|"
    r"riangle(?:left|right|down|q|lefteq|righteq)?|wohead(?:left|right)arrow"
)
# Of these words, those with which a line of code or prose may begin, such as `r := read()`.
_PLAIN_WORD = re.compile(r"ext|a[nu]|ag|o|op|r")
# Signs of a formula; a single letter after a backslash is more often an escape in a string of a program.
_FORMULA = re.compile(r"\\(?:[A-Za-z]{2}|[()\[\]{}])|\$(?:\w|[^$\n]*[\\^][^$\n]*)\$|[A-Za-z0-9)]\^[{\d]|[A-Za-z]_\{")
# What follows a command in a formula at once, such as in `\text{a}` and `\tan(x)`.
_ARGUMENT = re.compile(r"ext\{[^}\n]*\}|an\s*[\^(\\]|an\s+[A-Za-z]\s*[=+\-*/^)]|o\s+(?:\d|[A-Z0]\b|\\)")
_DRIVE = re.compile(r"(?:^|[^A-Za-z])[A-Za-z]:\Z")


def lost_backslashes(texts: Iterable[str], answer: str, given: Sequence[str]) -> bool:
    r"""Return whether escapes such as those in `\frac`, `\times`, `\rho` or `C:\temp` were read as control characters.

    A tab counts as a tab if the answer contains it literally, if a given text has it, if it indents a line, or if it
    separates the cells of a table. It counts as a lost backslash before the rest of a LaTeX command, after a drive
    name, within quotes, and if a given text has the backslash there. If code or prose may begin with the rest of the
    command, such as `r` and `an`, a tab that indents a line counts only if the line has another sign of a formula. The
    time is proportional to the length of the texts.

    :param texts: texts that were read from the answer.
    :param answer: answer as the model wrote it.
    :param given: texts of the rows to merge.
    """
    known = {character for text in given for character in _EATEN.findall(text)}
    escaped = {found[1] for found in _ESCAPE.finditer(answer)} - {None}
    commands = {found for text in given for found in _COMMAND.findall(text)}
    tabs = {f"t{word}" for text in given for word in _words_after_tabs(text)}
    returns = {f"r{word}" for text in given for word in _RETURN.findall(text)}
    for text in texts:
        if not known.issuperset(_EATEN.findall(text)):
            return True
        if any(f"r{word}" in escaped - returns for word in set(_RETURN.findall(text))):
            return True
        if "\t" in text and _lost_tabs(text, escaped - tabs, commands):
            return True
    return False


def _words_after_tabs(text: str) -> set[str]:
    return {found[0] for cell in text.split("\t")[1:] if (found := _WORD.match(cell))}


def _lost_tabs(text: str, escaped: set[str | None], commands: set[str]) -> bool:
    """Return whether a text has tabs that were backslashes.

    :param text: the text.
    :param escaped: letters after backslashes in the answer, such as `ttimes`, that no given text has after a tab.
    :param commands: the letters after backslashes in given texts.
    """
    lines = [line.split("\t") for line in text.split("\n")]
    # Lines with the same number of cells are a table, unless most cells start with the rest of a command, as in
    # formulas.
    like_formulas: Counter[int] = Counter()
    for cells in lines:
        like_formulas[len(cells)] += sum(1 if _of_a_formula(cell) else -1 for cell in cells[1:])
    for cells in lines:
        indents, quotes = True, 0
        for before, cell in pairwise(cells):
            indents = indents and not before
            quotes += before.count('"')
            word = _WORD.match(cell)
            letters = f"t{word[0]}" if word else ""
            if letters not in escaped:
                continue
            if letters in commands:
                return True
            if indents and _of_a_formula(cell) and _begins_a_formula(cell, cells):
                return True
            if not indents and _of_a_formula(cell) and like_formulas[len(cells)] > -2:
                return True
            if not indents and (quotes % 2 or _DRIVE.search(before[-3:])):
                return True
    return False


def _begins_a_formula(cell: str, cells: Sequence[str]) -> bool:
    """Return whether a cell begins with a command, or with a word of code or prose in a line with a formula."""
    word = _WORD.match(cell)
    if word is None or _PLAIN_WORD.fullmatch(word[0]) is None:
        return True
    return _ARGUMENT.match(cell) is not None or any(map(_FORMULA.search, cells))


def _of_a_formula(cell: str) -> bool:
    word = _WORD.match(cell)
    return word is not None and _FORMULA_WORD.fullmatch(word[0]) is not None
