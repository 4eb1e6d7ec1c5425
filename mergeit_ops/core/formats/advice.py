"""Advice for columns that fit no layout."""

from __future__ import annotations

import re
from collections.abc import Sequence

_QUESTIONS = (
    *("instruction", "question", "problem", "prompt", "query", "user", "human", "request", "task", "input", "inputs"),
    *("source", "q"),
)
_ANSWERS = (
    *("response", "answer", "answers", "solution", "output", "outputs", "completion", "reply", "assistant", "target"),
    *("targets", "result", "a"),
)

_BETTER = frozenset(("chosen", "preferred", "accepted", "winner", "winning"))
_WORSE = frozenset(("rejected", "dispreferred", "loser", "losing"))


def advice_for(columns: Sequence[str]) -> str:
    """Return the keys that would make a dataset readable, as the end of a sentence; empty if none are found.

    :param columns: the dataset's column names.
    """
    preferred = _preference_pair(columns)
    if preferred is not None:
        better, worse = preferred
        return (
            f". These are preference pairs (columns '{better}' and '{worse}'), but this operator needs one answer to "
            "each question: make rows from the question and the better answer first"
        )
    asked = _best(columns, _QUESTIONS)
    answered = _best([column for column in columns if column != asked], _ANSWERS)
    if asked is None or answered is None:
        return ". Set instruction_key and response_key to the columns with the question and the answer"
    advice = f". Set instruction_key: {asked} and response_key: {answered} in every operator of MergeIT-ops"
    return advice + "; if one of them holds a list of turns, also set sample_format: prompt_completion"


def _preference_pair(columns: Sequence[str]) -> tuple[str, str] | None:
    """Return the columns of a better and a worse answer, or of two answers to choose from."""
    parts = {column: _words(column) for column in columns}
    better = [column for column in columns if not _BETTER.isdisjoint(parts[column])]
    worse = [column for column in columns if not _WORSE.isdisjoint(parts[column])]
    if better and worse:
        return better[0], worse[0]
    pairs = {"a": "b", "A": "B", "1": "2", "0": "1"}
    answers = re.compile(rf"(?:.*[_ ])?(?:{'|'.join(_ANSWERS[:-1])})[_ ]?", re.IGNORECASE)
    for column in columns:
        stem, last = column[:-1], column[-1:]
        if last in pairs and answers.fullmatch(stem) and stem + pairs[last] in columns:
            return column, stem + pairs[last]
    return None


def _words(column: str) -> list[str]:
    return re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column).lower())


def _best(columns: Sequence[str], words: Sequence[str]) -> str | None:
    """Return the column whose name is or contains one of some words; the first word has priority."""
    parts = {column: _words(column) for column in columns}
    for word in words:
        for column in columns:
            if parts[column] == [word]:
                return column
    # The last part of a name says what it is: `generated_solution`, `problem_source`.
    return next((column for word in words for column in columns if parts[column][-1] == word), None)
