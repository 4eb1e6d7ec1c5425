"""Decisions from scores that are compared with each other or with a bound, and how close the decisions are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Protocol

from mergeit_ops.core.gate.rule import Candidate, Decision, GateRule, decide
from mergeit_ops.core.sample import Sample

__all__ = ["Bounds", "Comparison", "MergeComparison", "RowComparison"]


@dataclass(frozen=True)
class Bounds:
    """The bounds of a plain filter.

    :param low: lowest score; None for no bound.
    :param high: highest score; None for no bound.
    """

    low: float | None = None
    high: float | None = None

    def holds(self, score: float) -> bool:
        """Return whether a score is within the bounds."""
        return (self.low is None or score >= self.low) and (self.high is None or score <= self.high)

    def distance(self, score: float) -> float:
        """Return the distance of a score from the nearer bound; infinity without bounds."""
        return min((abs(score - bound) for bound in (self.low, self.high) if bound is not None), default=math.inf)


class Comparison(Protocol):
    """Rows whose scores lead to a decision together, and must therefore be on one scale."""

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The rows."""
        ...

    def distance(self, scores: Sequence[float | None]) -> float | None:
        """Return how far the scores are from another decision.

        :param scores: scores of `samples`, in order.
        :return: distance in units of the score, at least 0; infinity if no score could change the outcome; None if it
            is unknown because a score is missing.
        """
        ...

    def outcome(self, scores: Sequence[float | None]) -> tuple[bool, ...]:
        """Return the decision from scores; equal for equal decisions.

        :param scores: scores of `samples`, in order.
        """
        ...


@dataclass(frozen=True)
class RowComparison:
    """One row, compared with the bounds of a plain filter.

    :param sample: the row.
    :param bounds: bounds of the filter.
    """

    sample: Sample
    bounds: Bounds = Bounds()

    @property
    def samples(self) -> tuple[Sample, ...]:
        """See `Comparison`."""
        return (self.sample,)

    def distance(self, scores: Sequence[float | None]) -> float | None:
        """See `Comparison`."""
        (score,) = scores
        return None if score is None else self.bounds.distance(score)

    def outcome(self, scores: Sequence[float | None]) -> tuple[bool, ...]:
        """See `Comparison`. A row without a score is kept."""
        (score,) = scores
        return (score is None or self.bounds.holds(score),)


@dataclass(frozen=True)
class MergeComparison:
    """A merge, or several answers for the same group, compared with its parents; then the remaining rows, compared with
    the bounds.

    :param candidates: the merge and the other answers, at least one.
    :param parents: at least one.
    :param coverages: coverage of each candidate; None if unknown.
    :param rule: rule by which a candidate passes.
    :param bounds: bounds of the plain filter after the gate.
    :param reverse_ifds: reverse IFD of each candidate; empty if the rule does not need them.
    """

    candidates: tuple[Sample, ...]
    parents: tuple[Sample, ...]
    coverages: tuple[float | None, ...]
    rule: GateRule
    bounds: Bounds = Bounds()
    reverse_ifds: tuple[float | None, ...] = ()

    @property
    def samples(self) -> tuple[Sample, ...]:
        """See `Comparison`: the candidates, then the parents."""
        return self.candidates + self.parents

    def decide(self, scores: Sequence[float | None]) -> Decision:
        """Return the gate's decision.

        :param scores: scores of `samples`, in order.
        """
        return decide(self.rule, scores[len(self.candidates) :], self._with_scores(scores))

    def distance(self, scores: Sequence[float | None]) -> float | None:
        """See `Comparison`. The best of the candidates that meet the other conditions decides, if there are any."""
        before = self.rule.reference_score(scores[len(self.candidates) :])
        known = [score for score in scores if score is not None]
        if before is None or len(known) < len(scores):
            return None
        able = [candidate.score for candidate in self._with_scores(scores) if self.rule.may_pass(candidate)]
        best = max((score for score in able if score is not None), default=-math.inf)
        return min(abs(best - self.rule.gamma * before), *map(self.bounds.distance, self._remaining(scores)))

    def outcome(self, scores: Sequence[float | None]) -> tuple[bool, ...]:
        """See `Comparison`: whether the merge is accepted, and which of the remaining rows the filter keeps."""
        accepted = self.decide(scores).rejected is None
        return (accepted, *map(self.bounds.holds, self._remaining(scores)))

    def _with_scores(self, scores: Sequence[float | None]) -> list[Candidate]:
        known = zip(scores, self.coverages, self.reverse_ifds or repeat(None), strict=False)
        return [Candidate(*figures) for figures in known]

    def _remaining(self, scores: Sequence[float | None]) -> list[float]:
        decision = self.decide(scores)
        rows = scores[len(self.candidates) :] if decision.rejected else [scores[decision.chosen]]
        return [score for score in rows if score is not None]
