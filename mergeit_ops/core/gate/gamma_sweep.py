"""What the gate would have decided with another gamma, from the figures that it left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mergeit_ops.core.gate.rule import Candidate, GateRule

__all__ = ["Outcome", "ScoredMerge", "gammas", "outcomes"]

_STEP = 0.01
_ALWAYS_FROM = 0.5  # the paper's 0.75 and what lies around it are always there
_SCALE_OF_SCORES = 6.0  # scores from 1 to 6: no merge is more than six times as good as its parents


@dataclass(frozen=True)
class ScoredMerge:
    """A merge that the gate has decided about, accepted or not.

    :param before: the parents' reference score; None when a parent has none.
    :param after: the merge's score, or None.
    :param coverage: of the parent that the merge keeps least of; None if unknown.
    :param parents: number of parents, >= 1.
    :param reverse_ifd: of the merge; None if unknown.
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
        """Tell whether the merge passes a rule."""
        return rule.rejection(self.candidate, self.before) is None


@dataclass(frozen=True)
class Outcome:
    """What comes of one gamma.

    :param gamma: the gamma.
    :param passing: merges that pass.
    :param rows: rows that these merges and the parents of the others make together.
    """

    gamma: float
    passing: int
    rows: int


def gammas(merges: Sequence[ScoredMerge], chosen: float) -> list[float]:
    """Return the gammas worth looking at: in steps of 0.01, from where all pass until nothing does, and the run's.

    :param merges: those that the gate decided about.
    :param chosen: the gamma of the run.
    :return: ascending, each once.
    """
    ratios = [merge.after / merge.before for merge in merges if merge.after is not None and merge.before]
    # The scores of a scale from 1 to 6 can differ no more; a run's gamma beyond is one point.
    highest = min(max([*ratios, chosen, 1.0]), _SCALE_OF_SCORES)
    lowest = max(0.0, min([*ratios, chosen, _ALWAYS_FROM]))
    # One step beyond either end: a merge that meets the bar exactly may fail.
    steps = range(max(0, int(np.floor(lowest / _STEP)) - 1), int(np.floor(highest / _STEP)) + 2)
    return sorted({*(round(step * _STEP, 2) for step in steps), chosen})


def outcomes(merges: Sequence[ScoredMerge], rule: GateRule, at: Sequence[float]) -> list[Outcome]:
    """Return what the gate would have made of the same answers and scores with other gammas.

    :param merges: those that the gate decided about.
    :param rule: the rule of the run; all of it but its gamma stays.
    :param at: gammas, in any order.
    :return: one outcome for each, in that order.
    """
    # The rule is asked once per merge, for what does not depend on gamma; the comparison is that of the rule, at once
    # for all merges: hundreds of gammas times thousands of merges.
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
