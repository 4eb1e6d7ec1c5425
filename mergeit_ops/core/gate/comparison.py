"""Scores that are weighed against each other or against a bound: what follows from them, and how narrowly."""

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
    """The scores that a plain filter keeps.

    :param low: lowest; None for no such bound.
    :param high: highest; None for no such bound.
    """

    low: float | None = None
    high: float | None = None

    def holds(self, score: float) -> bool:
        """Tell whether a score lies within."""
        return (self.low is None or score >= self.low) and (self.high is None or score <= self.high)

    def distance(self, score: float) -> float:
        """Return how far a score is from the nearer bound; infinity without one."""
        return min((abs(score - bound) for bound in (self.low, self.high) if bound is not None), default=math.inf)


class Comparison(Protocol):
    """Rows whose scores decide something together, and therefore have to be on one scale."""

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The rows."""
        ...

    def distance(self, scores: Sequence[float | None]) -> float | None:
        """Return how far scores are from deciding otherwise.

        :param scores: of `samples`, in their order.
        :return: in units of the score, at least 0; infinity when no score could change the outcome; None when it cannot
            be told because one is missing.
        """
        ...

    def outcome(self, scores: Sequence[float | None]) -> tuple[bool, ...]:
        """Return what scores decide; equal for equal decisions.

        :param scores: of `samples`, in their order.
        """
        ...


@dataclass(frozen=True)
class RowComparison:
    """One row against the bounds of a plain filter.

    :param sample: the row.
    :param bounds: of the filter.
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
    """A merge, or several answers for the same group, against its parents; then what remains against the bounds.

    :param candidates: the merge and further answers, at least one.
    :param parents: at least one.
    :param coverages: of each candidate; None where it is unknown.
    :param rule: when a candidate passes.
    :param bounds: of the plain filter behind the gate.
    :param reverse_ifds: of each candidate; empty if the rule does not ask.
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

        :param scores: of `samples`, in their order.
        """
        return decide(self.rule, scores[len(self.candidates) :], self._with_scores(scores))

    def distance(self, scores: Sequence[float | None]) -> float | None:
        """See `Comparison`. The best of the candidates that meet the other conditions decides, if there is any."""
        before = self.rule.reference_score(scores[len(self.candidates) :])
        known = [score for score in scores if score is not None]
        if before is None or len(known) < len(scores):
            return None
        able = [candidate.score for candidate in self._with_scores(scores) if self.rule.may_pass(candidate)]
        best = max((score for score in able if score is not None), default=-math.inf)
        return min(abs(best - self.rule.gamma * before), *map(self.bounds.distance, self._remaining(scores)))

    def outcome(self, scores: Sequence[float | None]) -> tuple[bool, ...]:
        """See `Comparison`: whether the merge is accepted, and which of the rows that remain the filter keeps."""
        accepted = self.decide(scores).rejected is None
        return (accepted, *map(self.bounds.holds, self._remaining(scores)))

    def _with_scores(self, scores: Sequence[float | None]) -> list[Candidate]:
        known = zip(scores, self.coverages, self.reverse_ifds or repeat(None), strict=False)
        return [Candidate(*figures) for figures in known]

    def _remaining(self, scores: Sequence[float | None]) -> list[float]:
        decision = self.decide(scores)
        rows = scores[len(self.candidates) :] if decision.rejected else [scores[decision.chosen]]
        return [score for score in rows if score is not None]
