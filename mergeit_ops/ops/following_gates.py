"""The gates that will judge the merges of a merger."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.dataset.recipe import Recipe
from mergeit_ops.jobs.merge_judge import MergeJudge
from mergeit_ops.ops.quality_gate_filter import QualityGateFilter

__all__ = ["following_gates", "judge_of"]


def following_gates(recipe: Recipe, place: int) -> list[QualityGateFilter]:
    """Return the gates between a merger and the next one, built anew.

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
    """Return what judges merges as gates will.

    :param gates: none of them asks a language model.
    :param layout: layout of the rows.
    """
    told = ("scorer", "scorer_params", "read")
    identity = [[repr(gate.rule), *(gate.parameters[name] for name in told)] for gate in gates]
    return MergeJudge(tuple(gate.job(layout) for gate in gates), json.dumps(identity, default=str))
