"""The merges that would pass with other values of gamma."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mergeit_ops.core.gate.gamma_sweep import Outcome, ScoredMerge, gammas, outcomes
from mergeit_ops.core.gate.rule import GateRule
from mergeit_ops.report.section import Section
from mergeit_ops.report.surveyed_run import SurveyedRun
from mergeit_ops.runs.recipe_steps import GATE, kind_of

__all__ = ["GammaSweep", "build", "gamma_sweep"]

_PAPER_GAMMA = 0.75


@dataclass(frozen=True)
class GammaSweep:
    """The outcome for each gamma.

    :param rule: rule of the run's gate, or the default rule if no record has it.
    :param known: whether a record has the rule.
    :param decided: number of merges that the gate judged.
    :param outcomes: outcomes in ascending order of gamma; their `rows` are rows of the export.
    :param start: position of the run's gamma in `outcomes`.
    :param agrees: whether the outcome at the run's gamma agrees with the export.
    """

    rule: GateRule
    known: bool
    decided: int
    outcomes: list[Outcome]
    start: int
    agrees: bool


def build(run: SurveyedRun) -> Section | None:
    """Return the section.

    :param run: the run.
    :return: the section, or None if no merge was scored. If there are merges, a note then says why.
    """
    if not run.survey.gated:
        if run.survey.merges:
            run.notes.append(
                "No merge has a quality score: the recipe has no quality_gate_filter, or the export has no stats."
            )
        return None
    sweep = gamma_sweep(run)
    several = any((record.get("parameters") or {}).get("num_candidates", 1) > 1 for record in run.records)
    if several and sweep.rule.min_parent_coverage is not None:
        run.notes.append(
            "The run asked for several answers for each pair, but the export has the figures of only one. Below the "
            "run's gamma, more merges may pass than the slider shows."
        )
    data = {
        "gammas": [outcome.gamma for outcome in sweep.outcomes],
        "passing": [outcome.passing for outcome in sweep.outcomes],
        "rows": [outcome.rows for outcome in sweep.outcomes],
        "start": sweep.start,
        "decided": sweep.decided,
        "known": sweep.known,
    }
    return Section("What another gamma would give", "What if", {"sweep": sweep}, data)


def gamma_sweep(run: SurveyedRun) -> GammaSweep:
    """Return the outcomes of other gammas with the same answers and scores.

    :param run: a run in which a gate scored merges.
    """
    found = run.survey
    # A merge without scores in the export may never have passed through a gate. A rejected merge always has.
    decided = [merge for merge in found.merges if merge.rejected is not None or merge.scored]
    gates = [record.get("parameters") or {} for record in run.records if kind_of(record) == GATE]
    rule = _rule(gates[-1]) if gates else GateRule(_PAPER_GAMMA)
    merges = [
        ScoredMerge(merge.before, merge.after, merge.coverage, merge.parents, merge.reverse_ifd) for merge in decided
    ]
    at = gammas(merges, rule.gamma)
    others = found.rows - sum(1 if merge.rejected is None else merge.parents for merge in decided)
    results = [Outcome(part.gamma, part.passing, part.rows + others) for part in outcomes(merges, rule, at)]
    start = at.index(rule.gamma)
    accepted = sum(merge.rejected is None for merge in decided)
    return GammaSweep(rule, bool(gates), len(decided), results, start, not gates or results[start].passing == accepted)


def _rule(parameters: Mapping[str, Any]) -> GateRule:
    return GateRule(
        float(parameters.get("gamma", _PAPER_GAMMA)),
        bool(parameters.get("strict", True)),
        parameters.get("reference", "mean"),
        parameters.get("min_parent_coverage"),
        parameters.get("max_reverse_ifd"),
    )
