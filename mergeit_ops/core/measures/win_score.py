"""The win score of one model over another, by a judge that has seen every pair of answers in both orders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

__all__ = [
    "UNREADABLE",
    "Outcome",
    "Scores",
    "Tally",
    "Unreadable",
    "contradict",
    "outcome",
    "read_scores",
    "scores_of",
]

Outcome = Literal[1, 0, -1]
"""The result of model A: won, tied or lost."""

Unreadable = Literal["tie", "exclude"]
UNREADABLE: tuple[Unreadable, ...] = ("tie", "exclude")
"""What a judgement without scores means: a tie in its order, or the question does not count."""


class Scores(NamedTuple):
    """A judge's scores of two answers.

    :param a: score of one answer.
    :param b: score of the other.
    """

    a: float
    b: float


@dataclass(frozen=True)
class Tally:
    """How often model A won, tied and lost.

    :param wins: at least 0.
    :param ties: at least 0.
    :param losses: at least 0.
    """

    wins: int
    ties: int
    losses: int

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Tally:
        """Count outcomes."""
        return cls(*(sum(found == wanted for found in outcomes) for wanted in (1, 0, -1)))

    @property
    def questions(self) -> int:
        """Return how many questions count."""
        return self.wins + self.ties + self.losses

    @property
    def win_score(self) -> float:
        """Return (wins - losses) / questions + 1: a value from 0 to 2; 1 if the models are even.

        :raises ZeroDivisionError: if no question counts.
        """
        return (self.wins - self.losses) / self.questions + 1


def read_scores(text: str) -> Scores | None:
    """Read a judge's answer whose first line has two scores, in the order in which the answers were shown.

    The common prompt for pairs asks for this form: the scores, separated by a space or a comma, and the reasons below.

    :param text: the whole answer.
    :return: the scores; None if the first line is anything else, or a score is negative or not finite.
    """
    first = next(iter(text.strip().splitlines()), "")
    parts = first.replace(",", " ").split()
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        return None
    return scores_of(*numbers) if len(numbers) == 2 else None


def scores_of(a: Any, b: Any) -> Scores | None:
    """Return two scores; None if one is not a number, negative (a usual sign of failure) or not finite."""
    if any(isinstance(score, bool) or not isinstance(score, (int, float)) for score in (a, b)):
        return None
    try:
        scores = Scores(float(a), float(b))
    except OverflowError:  # an integer of hundreds of digits
        return None
    return scores if all(math.isfinite(score) and score >= 0 for score in scores) else None


def outcome(first: Scores | None, second: Scores | None, unreadable: Unreadable = "tie") -> Outcome | None:
    """Return the result of model A for a question that was judged twice, with the answers in both orders.

    Judges favour one of the places. So A wins if it is ahead in both orders, or ahead in one and even in the other; it
    loses in the opposite cases; otherwise it is a tie (Chen et al., AlpaGasus, 2307.08701).

    :param first: scores of A and B with A shown first; None for a judgement that could not be read.
    :param second: scores of A and B, in this order, with B shown first; None in the same case.
    :param unreadable: how an unreadable judgement counts: `tie` counts it as even, like the published figures;
        `exclude` leaves the question out.
    :return: None for a question that does not count.
    """
    if unreadable == "exclude" and (first is None or second is None):
        return None
    ahead = _ahead(first) + _ahead(second)
    return 1 if ahead > 0 else -1 if ahead < 0 else 0


def contradict(first: Scores | None, second: Scores | None) -> bool:
    """Return whether the two orders have different winners.

    :param first: as for `outcome`.
    :param second: as for `outcome`.
    """
    return _ahead(first) * _ahead(second) < 0


def _ahead(scores: Scores | None) -> int:
    return 0 if scores is None else (scores.a > scores.b) - (scores.a < scores.b)
