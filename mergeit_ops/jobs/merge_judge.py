"""Judge merges before they are rows, as the following gates of the recipe will."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.gate.comparison import MergeComparison
from mergeit_ops.core.merging.parent_kept import least_kept
from mergeit_ops.core.merging.replies import FailureReason
from mergeit_ops.core.sample import Sample
from mergeit_ops.dataset.merge_table import Merge, TopicMerges, merged_row
from mergeit_ops.jobs.gating import GateJob

__all__ = ["Case", "MergeJudge"]

_TELLS_NOTHING = {FailureReason.API_FAILED.value, FailureReason.BUDGET.value, FailureReason.UNLIKELY.value}
"""Reasons that say nothing about the group, which may be merged in the next run."""


@dataclass(frozen=True)
class Case:
    """The outcome of a group.

    :param answers: the merged samples as the gate will read them; empty if the merge failed.
    :param parents: the rows that were to be merged.
    :param tells: whether the outcome says something about the group.
    """

    answers: tuple[Sample, ...]
    parents: tuple[Sample, ...]
    tells: bool

    @classmethod
    def of(cls, topic: TopicMerges, number: int, merge: Merge, layout: SampleFormat) -> Case:
        """Return the outcome of a group of a topic.

        :param topic: the topic.
        :param number: of the group.
        :param merge: its outcome.
        :param layout: layout of the rows.
        """
        group = topic.groups[number]
        rows = topic.rows(group) if merge.answers else []
        # A layout without an input column puts the input into the instruction.
        answers = tuple(layout.read(merged_row(layout, answer, rows)).sample for answer in merge.answers)
        return cls(answers, tuple(topic.samples(group)), merge.error not in _TELLS_NOTHING)


@dataclass(frozen=True)
class MergeJudge:
    """Decides which groups became accepted merges. On a cluster it is pickled.

    :param gates: the gates up to the next merger. A merge has to pass each of them, and none asks a language model.
    :param identity: everything that affects its verdicts, as text.
    """

    gates: tuple[GateJob, ...] = ()
    identity: str = ""

    def accepted(self, cases: Sequence[Case]) -> list[bool | None]:
        """Return whether each group became an accepted merge: it has an answer, and every gate lets an answer pass.

        :param cases: n groups.
        :return: n verdicts; None for a group whose outcome says nothing about it.
        """
        found = [bool(case.answers) if case.tells else None for case in cases]
        for gate in self.gates:
            made = [at for at, verdict in enumerate(found) if verdict]
            decisions = gate.decisions([_question(cases[at], gate) for at in made]) if made else []
            for at, decision in zip(made, decisions, strict=True):
                found[at] = decision.rejected is None
        return found


def _question(case: Case, gate: GateJob) -> MergeComparison:
    coverages = tuple(least_kept(case.parents, answer) for answer in case.answers)
    return MergeComparison(case.answers, case.parents, coverages, gate.rule, gate.bounds)
