"""Words of any script, compared without their endings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

__all__ = [
    "FUNCTION_WORDS",
    "LETTERS",
    "MARKS",
    "UNSPACED",
    "count_words",
    "exact_words",
    "is_number",
    "stems",
    "word_runs",
]

UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Characters of scripts without spaces between words, as a set for regular expressions; each counts as a word."""
MARKS = "".join(mark for mark in map(chr, range(0x0300, 0x3000)) if unicodedata.category(mark).startswith("M"))
r"""Marks on letters, such as vowel signs of Indian scripts and separately encoded accents, as a set for regular
expressions. `\w` does not match them."""
_LETTER = rf"[^\W\d_{UNSPACED}]"
LETTERS = rf"{_LETTER}+(?:[{MARKS}]+{_LETTER}*)*"
"""Regular expression for letters, with their marks, of any script with spaces between words."""
_WORD = re.compile(rf"[{UNSPACED}]|\d+(?:[.,:/]\d+)*|{LETTERS}(?:['’]{LETTERS})*")
_LIST_MARK = re.compile(r"^[^\S\n]*\(?\d{1,3}[.)][^\S\n]", re.MULTILINE)
_SYMBOL = re.compile(r"[^\w\s]")
_UNSPACED_CHARACTER = re.compile(f"[{UNSPACED}]")
_UNSPACED_WORD = 2  # characters; the usual length of a word in Chinese and Japanese
_STEM_LETTERS = 5
_SHORTEST_PLURAL = 3

_FUNCTION_WORDS = """
    a an the this that these those it its i you he she we they me him her us them my your his our their and or but if of
    in on at to for from with by as is are was were be been being do does did have has had not no so than then there
    here which who whom whose what when where why how can could will would shall should may might must some all also
    into about given below above each any
"""


def exact_words(text: str) -> list[str]:
    """Return the words of a text in lower case, with each number as one word without thousands separators.

    The numbers of list items are left out. For a text without words, such as `?` or an emoji, its symbols are returned.

    :param text: any text.
    """
    lowered = _LIST_MARK.sub("", text.lower())
    # Only numbers contain a comma.
    words = [word.replace(",", "") if "," in word else word for word in _WORD.findall(lowered)]
    return words or _SYMBOL.findall(lowered)


def word_runs(words: Sequence[str], length: int) -> list[tuple[str, ...]]:
    """Return all runs of consecutive words of one length, in their order.

    :param words: n words.
    :param length: number of words in a run, at least 1.
    :return: n - length + 1 runs; none if there are fewer words.
    """
    return [tuple(words[start : start + length]) for start in range(len(words) - length + 1)]


def count_words(text: str) -> int:
    """Count the words of a text like a reader: pieces between spaces that have a letter or digit.

    Two characters of a script without spaces between words count as one word. So `24-hour` is one word, and four
    Chinese characters are two.

    :param text: any text.
    """
    unspaced = len(_UNSPACED_CHARACTER.findall(text))
    rest = _UNSPACED_CHARACTER.sub(" ", text) if unspaced else text
    return sum(any(map(str.isalnum, piece)) for piece in rest.split()) + -(-unspaced // _UNSPACED_WORD)


def stems(text: str) -> list[str]:
    """Return the words of a text without their endings: a final s, and everything after the fifth letter.

    Numbers stay complete.

    :param text: any text.
    """
    return [_stem(word) for word in exact_words(text)]


def is_number(word: str) -> bool:
    """Return whether a word is a number."""
    return word[0].isdigit()


def _stem(word: str) -> str:
    if is_number(word):
        return word
    return (word[:-1] if len(word) > _SHORTEST_PLURAL and word.endswith("s") else word)[:_STEM_LETTERS]


FUNCTION_WORDS = frozenset(_stem(word) for word in _FUNCTION_WORDS.split())
"""Stems of English words that say little about what a text is about."""
