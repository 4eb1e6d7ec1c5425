"""Advice about columns that fit no layout."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mergeit_ops.core.formats.vocabulary import words_of

_QUESTIONS = (
    *("instruction", "question", "problem", "prompt", "query", "user", "human", "request", "task", "input", "inputs"),
    *("source", "context", "q"),
)
_MATERIALS = ("context", "input", "passage", "document", "text")
_CHATS = frozenset(("dialogue", "dialog", "chat", "chats", "turns", "conversations", "thread", "chat_history"))
_ANSWERS = (
    *("response", "answer", "answers", "solution", "output", "outputs", "completion", "reply", "assistant", "target"),
    *("targets", "result", "a"),
)

_BETTER = frozenset(
    ("chosen", "preferred", "accepted", "winner", "winning", "win", "good", "better", "best", "positive")
)
_WORSE = frozenset(("rejected", "dispreferred", "loser", "losing", "lose", "bad", "worse", "worst", "negative"))


def advice_for(columns: Sequence[str]) -> str:
    """Return the parameters that would make a dataset readable, as the end of a sentence; empty if none are found.

    :param columns: the dataset's column names.
    """
    preferred = _preference_pair(columns)
    if preferred is not None:
        better, worse = preferred
        return (
            f". These are preference pairs (columns '{better}' and '{worse}'), but this operator needs one answer to "
            "each question: make rows from the question and the better answer first"
        )
    chat = next((column for column in columns if column.lower() in _CHATS), None)
    if chat is not None:
        return f". If '{chat}' holds a list of turns, rename the column to messages"
    keys = likely_keys(columns)
    if not keys:
        return ". Set instruction_key and response_key to the columns of the question and of the answer"
    *others, last = (f"{key}: {column}" for key, column in keys.items())
    return (
        f". Set {', '.join(others)} and {last} in every operator of MergeIT-ops, if these columns hold texts; "
        "where one holds a list of turns, set sample_format: prompt_completion as well"
    )


def likely_keys(columns: Sequence[str]) -> dict[str, str]:
    """Return the parameters that name the columns of question, input and answer; empty if the names do not tell them.

    :param columns: the dataset's column names.
    """
    if _preference_pair(columns) is not None or not _CHATS.isdisjoint(column.lower() for column in columns):
        return {}
    asked = _best(columns, _QUESTIONS)
    answered = _best([column for column in columns if column != asked], _ANSWERS)
    if asked is None or answered is None:
        return {}
    rest = [column for column in columns if column not in (asked, answered)]
    material = next((column for word in _MATERIALS for column in rest if column.lower() == word), None)
    return {"instruction_key": asked} | ({"query_key": material} if material else {}) | {"response_key": answered}


def _preference_pair(columns: Sequence[str]) -> tuple[str, str] | None:
    """Return the columns of a better and a worse answer, or of two answers to choose from."""
    parts = {column: words_of(column) for column in columns}
    better = [column for column in columns if not _BETTER.isdisjoint(parts[column])]
    worse = [column for column in columns if not _WORSE.isdisjoint(parts[column])]
    # A column with words of both kinds in its name is neither answer.
    pair = next(((one, other) for one in better for other in worse if one not in worse and other not in better), None)
    if pair is not None:
        return pair
    pairs = {"a": "b", "A": "B", "j": "k", "w": "l", "1": "2", "0": "1"}
    answers = re.compile(rf"(?:.*[_ ])?(?:{'|'.join(_ANSWERS[:-1])}|ref|y)[_ ]?", re.IGNORECASE)
    for column in columns:
        stem, last = column[:-1], column[-1:]
        if last in pairs and answers.fullmatch(stem) and stem + pairs[last] in columns:
            return column, stem + pairs[last]
    return None


def _best(columns: Sequence[str], words: Sequence[str]) -> str | None:
    """Return the column whose name is or contains one of some words; the first word has priority."""
    parts = {column: words_of(column) for column in columns}
    for word in words:
        for column in columns:
            if parts[column] == (word,):
                return column
    # The last part of a name says what the column holds: `generated_solution`, `problem_source`.
    return next((column for word in words for column in columns if parts[column][-1:] == (word,)), None)
