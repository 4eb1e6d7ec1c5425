"""The gates that judge a merger's merges."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.dataset.recipe import Recipe
from mergeit_ops.jobs.merge_judge import MergeJudge
from mergeit_ops.ops.quality_gate_filter import QualityGateFilter

__all__ = ["following_gates", "judge_of"]


def following_gates(recipe: Recipe, place: int) -> list[QualityGateFilter]:
    """Build the gates between a merger and the next merger.

    :param recipe: the recipe.
    :param place: position of the merger in it, from 0.
    """
    gates = []
    for step in recipe.steps[place + 1 :]:
        kind = getattr(step.operator, "kind", None)
        if kind == QualityGateFilter.kind:
            gates.append(step.operator(**step.parameters))  # type: ignore[misc]
        elif kind == recipe.steps[place].operator.kind:  # type: ignore[union-attr]
            break
    return gates


def judge_of(gates: Sequence[QualityGateFilter], layout: SampleFormat) -> MergeJudge:
    """Return a judge that decides about merges as the gates will.

    :param gates: gates that ask no language model.
    :param layout: sample layout of the rows.
    """
    told = ("scorer", "scorer_params", "read")
    identity = [[repr(gate.rule), *(gate.parameters[name] for name in told)] for gate in gates]
    return MergeJudge(tuple(gate.job(layout) for gate in gates), json.dumps(identity, default=str))
