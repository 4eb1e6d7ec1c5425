"""The quality gate's decision whether a merge is better than its parents (MergeIT, equation 9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

Reference = Literal["mean", "max", "min"]
RejectReason = Literal["score", "coverage", "reverse_ifd", "no_score"]

_REFERENCES: Mapping[Reference, Callable[[Sequence[float]], float]] = {"mean": fmean, "max": max, "min": min}
REFERENCES: tuple[Reference, ...] = tuple(_REFERENCES)


@dataclass(frozen=True)
class GateRule:
    """The rule by which a merge is accepted.

    :param gamma: share of the parents' reference score that the merge must reach, > 0. Paper: 0.75. Released code: 1.
    :param strict: whether equality fails.
    :param reference: how the parents' scores become the reference score.
    :param min_parent_coverage: lowest share of each parent that the merge must keep, in [0, 1]; None for no such
        condition.
    :param max_reverse_ifd: highest reverse IFD of the merge, > 0; None for no such condition. With this condition,
        Selective Reflection-Tuning (arXiv 2402.10110) requires that an answer determines its question.
    """

    gamma: float = 0.75
    strict: bool = True
    reference: Reference = "mean"
    min_parent_coverage: float | None = None
    max_reverse_ifd: float | None = None

    def reference_score(self, parent_scores: Sequence[float | None]) -> float | None:
        """Return the parents' scores as one number; None if any of them is missing."""
        known = [score for score in parent_scores if score is not None]
        if not known or len(known) < len(parent_scores):
            return None
        return _REFERENCES[self.reference](known)

    def rejection(self, candidate: Candidate, before: float | None) -> RejectReason | None:
        """Return why a candidate fails, or None if it passes.

        :param candidate: the merge and its figures.
        :param before: the parents' reference score; None when a parent has no score.
        """
        if candidate.score is None or before is None:
            return "no_score"
        bar = self.gamma * before
        if not (candidate.score > bar if self.strict else candidate.score >= bar):
            return "score"
        if not self.covers(candidate):
            return "coverage"
        return None if self.determines(candidate) else "reverse_ifd"

    def may_pass(self, candidate: Candidate) -> bool:
        """Return whether a candidate meets all conditions except the one for its score.

        :param candidate: the merge and its figures.
        """
        return self.covers(candidate) and self.determines(candidate)

    def determines(self, candidate: Candidate) -> bool:
        """Return whether the answer of a candidate determines its question well enough.

        :param candidate: the merge and its figures.
        """
        most = self.max_reverse_ifd
        return most is None or (candidate.reverse_ifd is not None and candidate.reverse_ifd <= most)

    def covers(self, candidate: Candidate) -> bool:
        """Return whether a candidate keeps enough of every parent.

        :param candidate: the merge and its figures.
        """
        least = self.min_parent_coverage
        return least is None or (candidate.coverage is not None and candidate.coverage >= least)


@dataclass(frozen=True)
class Candidate:
    """One answer of the LLM for a group.

    :param score: its quality; None if it could not be scored.
    :param coverage: share of the parent of which it keeps least, in [0, 1]; None if unknown.
    :param reverse_ifd: its reverse IFD; None if unknown, or if the rule does not need it.
    """

    score: float | None
    coverage: float | None = None
    reverse_ifd: float | None = None


@dataclass(frozen=True)
class Decision:
    """The gate's decision about one group.

    :param chosen: position of the candidate to which the figures belong: the accepted one, or the best rejected one.
    :param rejected: why it was rejected; None if it was accepted.
    :param before: the parents' reference score, or None.
    :param after: the chosen candidate's score, or None.
    :param coverage: the chosen candidate's coverage, or None.
    :param reverse_ifd: the chosen candidate's reverse IFD, or None.
    """

    chosen: int
    rejected: RejectReason | None
    before: float | None
    after: float | None
    coverage: float | None
    reverse_ifd: float | None = None

    @property
    def ratio(self) -> float | None:
        """Return after / before, or None if either is missing or before is 0."""
        return self.after / self.before if self.after is not None and self.before else None


def decide(rule: GateRule, parent_scores: Sequence[float | None], candidates: Sequence[Candidate]) -> Decision:
    """Accept the best candidate that passes, or none.

    :param rule: the rule.
    :param parent_scores: score of each parent; None if it has none.
    :param candidates: candidates, at least one. Among equal scores the earlier candidate wins. A candidate without a
        score never wins over one with a score.
    :return: the decision.
    """
    before = rule.reference_score(parent_scores)
    verdicts = [rule.rejection(candidate, before) for candidate in candidates]

    def rank(number: int) -> tuple[bool, float, int]:
        score = candidates[number].score
        return verdicts[number] is None, float("-inf") if score is None else score, -number

    chosen = max(range(len(candidates)), key=rank)
    best = candidates[chosen]
    return Decision(chosen, verdicts[chosen], before, best.score, best.coverage, best.reverse_ifd)
