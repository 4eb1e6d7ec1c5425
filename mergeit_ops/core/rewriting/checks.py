"""Check a rewritten row without a model: its length, its language, web addresses, words about the procedure, and texts
in the wrong place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mergeit_ops.core.merging.replies import FailureReason, ReplyError
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.language import language_of
from mergeit_ops.core.text.ngram_index import comparable_words
from mergeit_ops.core.text.scripts import shares_script
from mergeit_ops.core.text.words import UNSPACED, count_words, word_runs

__all__ = ["WordLimits", "check_instruction", "check_instruction_is_no_response", "check_text"]

_URL = re.compile(r"(?:https?://|www\.)[^\s<>\"'`)\]}]+", re.IGNORECASE)
_END_OF_SENTENCE = ".,;:!?"
_PROCEDURE = re.compile(
    r"\b(?:semantic(?:ally)?[\s-]+(?:pars(?:e|ed|ing)|trees?)|parse[\s-]+trees?|trees?\s+of\s+(?:its\s+)?meaning|"
    r"(?:re-?written|revised|original|given)\s+(?:instruction|prompt|request)s?|"
    r"nodes?\s+(?:to|of|in)\s+the\s+tree)\b",
    re.IGNORECASE,
)
_COPIED_WORDS = 8
"""A run of this many equal words in two texts is a copy."""
_UNSPACED_CHARACTERS = 2 * _COPIED_WORDS
_UNSPACED = re.compile(f"[{UNSPACED}]")
_AGAIN = "Answer again, with the JSON object only."


@dataclass(frozen=True)
class WordLimits:
    """The word limits of an instruction; see `count_words`.

    :param least: fewest words.
    :param most: most words.
    """

    least: int
    most: int


def check_instruction(new: str, old: Sample, limits: WordLimits, rules: str = "") -> None:
    """Refuse an instruction that breaks a rule.

    :param new: the new instruction.
    :param old: the row that is rewritten.
    :param limits: its words.
    :param rules: see `check_text`.
    :raises ReplyError: `empty`, `echo`, `length`, `language`, `new_url` or `procedure`, the last five with a correction
        for the model.
    """
    if not new.strip():
        raise ReplyError(FailureReason.EMPTY)
    if _normal(new) == _normal(old.instruction):
        raise ReplyError(FailureReason.ECHO, f"You gave back the instruction as it was. Change it. {_AGAIN}")
    words = count_words(new)
    if not limits.least <= words <= limits.most:
        raise ReplyError(
            FailureReason.LENGTH,
            f"Your instruction has {words} words, but it must have {limits.least} to {limits.most}. {_AGAIN}",
        )
    check_instruction_is_no_response(new, old)
    check_text(new, old, "instruction", rules)


def check_instruction_is_no_response(new: str, old: Sample) -> None:
    """Refuse an instruction that contains a run of eight words of the row's response, as small models sometimes write
    it.

    :param new: the new instruction.
    :param old: the row that is rewritten. Words of its instruction and input are allowed.
    :raises ReplyError: `echo`, with a correction for the model.
    """
    if _copies(new, old.output, "\n".join((old.instruction, old.input))):
        raise ReplyError(
            FailureReason.ECHO,
            f"Your instruction gives the response. Write what somebody asks who gets this response. {_AGAIN}",
        )


def check_text(new: str, old: Sample, name: str, rules: str = "") -> None:
    """Refuse a text in another language, with a new web address, or with words about how it was made.

    Languages are compared by their scripts and, if both texts are long enough, by `language_of`.

    :param new: the new text; its language is compared with that of the same text of the row.
    :param old: the row that is rewritten. Words of the row itself are allowed.
    :param name: which text it is: `instruction`, `input` or `output`.
    :param rules: the rules for the model. A text with a run of eight words of them is refused.
    :raises ReplyError: `language`, `new_url` or `procedure`, with a correction for the model.
    """
    if new.strip() and _in_another_language(new, getattr(old, name)):
        raise ReplyError(
            FailureReason.LANGUAGE, f"Your {name} is in another language than that of the record. {_AGAIN}"
        )
    known = "\n".join((old.instruction, old.input, old.output, old.system))
    for found in _URL.finditer(new):
        url = found[0].rstrip(_END_OF_SENTENCE)
        if url.lower() not in known.lower():
            raise ReplyError(
                FailureReason.NEW_URL, f"Your {name} has a web address that the record does not have. {_AGAIN}"
            )
    for found in _PROCEDURE.finditer(new):
        if found[0].lower() not in known.lower():
            raise ReplyError(
                FailureReason.PROCEDURE,
                f'Your {name} speaks of how it was made ("{found[0]}"). It must read as if nothing had been there '
                f"before it. {_AGAIN}",
            )
    if _copies(new, rules, known):
        raise ReplyError(
            FailureReason.PROCEDURE, f"Your {name} repeats the rules that you were given. Leave them out. {_AGAIN}"
        )


def _copies(new: str, source: str, known: str) -> bool:
    """Return whether a text contains a long run of words of a source that is not in the known texts."""
    words = comparable_words(new)
    length = _UNSPACED_CHARACTERS if _UNSPACED.search(new) else _COPIED_WORDS
    runs = set(word_runs(words, length)).intersection(word_runs(comparable_words(source), length))
    return bool(runs.difference(word_runs(comparable_words(known), length)))


def _in_another_language(new: str, old: str) -> bool:
    known, found = language_of(old), language_of(new)
    return not shares_script(new, old) or (known is not None and found is not None and known != found)


def _normal(text: str) -> str:
    return " ".join(text.split())
