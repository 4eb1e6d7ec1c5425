"""The gate's decisions with other values of gamma, from the recorded figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mergeit_ops.core.gate.rule import Candidate, GateRule

__all__ = ["Outcome", "ScoredMerge", "gammas", "outcomes"]

_STEP = 0.01
_ALWAYS_FROM = 0.5  # the paper's 0.75 and values around it are always included
_SCALE_OF_SCORES = 6.0  # scores from 1 to 6, so no merge is more than six times as good as its parents


@dataclass(frozen=True)
class ScoredMerge:
    """A merge that the gate has decided about, accepted or not.

    :param before: the parents' reference score; None if a parent has no score.
    :param after: the merge's score, or None.
    :param coverage: share of the parent of which the merge keeps least; None if unknown.
    :param parents: number of parents, >= 1.
    :param reverse_ifd: reverse IFD of the merge; None if unknown.
    """

    before: float | None
    after: float | None
    coverage: float | None
    parents: int
    reverse_ifd: float | None = None

    @property
    def candidate(self) -> Candidate:
        """Return the merge as the rule sees it."""
        return Candidate(self.after, self.coverage, self.reverse_ifd)

    def passes(self, rule: GateRule) -> bool:
        """Return whether the merge passes a rule."""
        return rule.rejection(self.candidate, self.before) is None


@dataclass(frozen=True)
class Outcome:
    """The outcome of one gamma.

    :param gamma: the gamma.
    :param passing: number of merges that pass.
    :param rows: number of rows: these merges and the parents of the others.
    """

    gamma: float
    passing: int
    rows: int


def gammas(merges: Sequence[ScoredMerge], chosen: float) -> list[float]:
    """Return the relevant gammas: in steps of 0.01, from where all merges pass to where none does, and the run's gamma.

    :param merges: merges that the gate has decided about.
    :param chosen: the gamma of the run.
    :return: ascending, each once.
    """
    ratios = [merge.after / merge.before for merge in merges if merge.after is not None and merge.before]
    # Scores from 1 to 6 cannot differ by more; a larger gamma of a run is a single point.
    highest = min(max([*ratios, chosen, 1.0]), _SCALE_OF_SCORES)
    lowest = max(0.0, min([*ratios, chosen, _ALWAYS_FROM]))
    # One step beyond either end, because a merge that reaches the limit exactly may fail.
    steps = range(max(0, int(np.floor(lowest / _STEP)) - 1), int(np.floor(highest / _STEP)) + 2)
    return sorted({*(round(step * _STEP, 2) for step in steps), chosen})


def outcomes(merges: Sequence[ScoredMerge], rule: GateRule, at: Sequence[float]) -> list[Outcome]:
    """Return the gate's outcomes for the same answers and scores with other gammas.

    :param merges: merges that the gate has decided about.
    :param rule: the rule of the run; only its gamma is varied.
    :param at: gammas, in any order.
    :return: one outcome for each gamma, in that order.
    """
    # The rule is asked once per merge about the conditions without gamma. The rule's comparison is then made for all
    # merges at once, because there are hundreds of gammas and thousands of merges.
    scored = [merge for merge in merges if merge.after is not None and merge.before is not None]
    eligible = [merge for merge in scored if rule.may_pass(merge.candidate)]
    before = np.array([merge.before for merge in eligible], dtype=np.float64)
    after = np.array([merge.after for merge in eligible], dtype=np.float64)
    parents = np.array([merge.parents for merge in eligible], dtype=np.int64)
    all_parents = sum(merge.parents for merge in merges)
    found = []
    for gamma in at:
        bar = gamma * before
        passes = after > bar if rule.strict else after >= bar
        saved = int((parents[passes] - 1).sum())
        found.append(Outcome(gamma, int(passes.sum()), all_parents - saved))
    return found
