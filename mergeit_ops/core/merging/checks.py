"""Check a merge against its parents: it must keep their instructions, inputs and answers, and add no demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mergeit_ops.core.merging.added_demands import added_demand
from mergeit_ops.core.merging.parent_kept import LossReason, ParentKept, parents_kept
from mergeit_ops.core.merging.replies import FailureReason, ReplyError
from mergeit_ops.core.sample import Sample

__all__ = ["MergeChecks"]

_LOST: dict[LossReason, str] = {
    "demand": "what it asks is not in `instruction`",
    "input": "its input is not in `input`",
    "answer": "its answer is not in `output`",
}
_AGAIN = "Write the new record again, with nothing lost and nothing added. Answer with the JSON object only."


@dataclass(frozen=True)
class MergeChecks:
    """What a merge must keep of its parents, and whether it may add demands.

    :param min_parent_kept: smallest share of each parent, in [0, 1], that a merge must keep; None: not checked.
    :param refuse_added_demands: whether a merge is refused if it asks for something that no parent asks for.
    """

    min_parent_kept: float | None = None
    refuse_added_demands: bool = False

    @property
    def any(self) -> bool:
        """Whether anything is checked."""
        return self.min_parent_kept is not None or self.refuse_added_demands

    def check(self, merged: Sample, parents: Sequence[Sample]) -> None:
        """Refuse a merge that loses a parent or adds a demand.

        :param merged: the merge.
        :param parents: the rows that were to be merged.
        :raises ReplyError: `parent_lost` or `added_demand`, with a correction for the model.
        """
        if self.min_parent_kept is not None:
            kept = parents_kept(parents, merged)
            lost = [number for number, parent in enumerate(kept) if parent.share < self.min_parent_kept]
            if lost:
                raise ReplyError(FailureReason.PARENT_LOST, _lost_parents(kept, lost, self.min_parent_kept))
        if self.refuse_added_demands and (added := added_demand(parents, merged)):
            raise ReplyError(
                FailureReason.ADDED_DEMAND,
                f"The instruction of your record asks for something that no record asks for: {added}. {_AGAIN}",
            )


def _lost_parents(kept: Sequence[ParentKept], lost: Sequence[int], least: float) -> str:
    parts = []
    for number in lost:
        named = [_LOST[reason] for reason, share in kept[number].shares().items() if share < least]
        parts.append(f"Your record loses a part of record {number + 1}: {' and '.join(named)}.")
    return " ".join([*parts, _AGAIN])
