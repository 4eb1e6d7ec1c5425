"""The win score of one model over another, from a judge that saw every pair of answers in both orders."""

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
"""Of model A: won, tied, lost."""

Unreadable = Literal["tie", "exclude"]
UNREADABLE: tuple[Unreadable, ...] = ("tie", "exclude")
"""What becomes of a judgement without scores: a tie in its order, or the question does not count."""


class Scores(NamedTuple):
    """What a judge gave two answers.

    :param a: to one.
    :param b: to the other.
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
        """Return (wins - losses) / questions + 1: 1 where the models are even, from 0 to 2.

        :raises ZeroDivisionError: if no question counts.
        """
        return (self.wins - self.losses) / self.questions + 1


def read_scores(text: str) -> Scores | None:
    """Read a judge's answer whose first line is two scores, in the order in which it was shown the answers.

    That is the form that the common prompt for pairs asks for: the scores with a space or a comma between them, and the
    reasons below.

    :param text: the whole answer.
    :return: the scores; None where the first line is anything else, or a score is negative or not finite.
    """
    first = next(iter(text.strip().splitlines()), "")
    parts = first.replace(",", " ").split()
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        return None
    return scores_of(*numbers) if len(numbers) == 2 else None


def scores_of(a: Any, b: Any) -> Scores | None:
    """Return two scores; None where one is no number, negative (a usual mark of failure) or not finite."""
    if any(isinstance(score, bool) or not isinstance(score, (int, float)) for score in (a, b)):
        return None
    try:
        scores = Scores(float(a), float(b))
    except OverflowError:  # an integer of hundreds of digits
        return None
    return scores if all(math.isfinite(score) and score >= 0 for score in scores) else None


def outcome(first: Scores | None, second: Scores | None, unreadable: Unreadable = "tie") -> Outcome | None:
    """Return how model A fared at a question that was judged twice, with the answers in one order and in the other.

    A judge favours the place in which an answer stands; so A wins where it is ahead in both orders, or ahead in one and
    even in the other; it loses likewise; else they tie (Chen et al., AlpaGasus, 2307.08701).

    :param first: scores of A and B with A shown first; None for a judgement that could not be read.
    :param second: scores of A and B, in this order, with B shown first; None likewise.
    :param unreadable: what becomes of such a judgement: `tie` counts it as even, as the published figures do; `exclude`
        leaves the question out.
    :return: None for a question that does not count.
    """
    if unreadable == "exclude" and (first is None or second is None):
        return None
    ahead = _ahead(first) + _ahead(second)
    return 1 if ahead > 0 else -1 if ahead < 0 else 0


def contradict(first: Scores | None, second: Scores | None) -> bool:
    """Tell whether each order has another winner.

    :param first: as for `outcome`.
    :param second: as for `outcome`.
    """
    return _ahead(first) * _ahead(second) < 0


def _ahead(scores: Scores | None) -> int:
    return 0 if scores is None else (scores.a > scores.b) - (scores.a < scores.b)
