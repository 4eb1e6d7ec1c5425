"""The number of rows after each step, from the input to the export, and what the rows of the export are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mergeit_ops.core.text.counts import many
from mergeit_ops.report.section import Section
from mergeit_ops.report.surveyed_run import SurveyedRun

__all__ = ["FunnelStep", "build", "funnel"]

_BECAME = {"original": "never merged", "merged": "merges", "restored": "restored by the gate"}


@dataclass(frozen=True)
class FunnelStep:
    """The number of rows after one step of a run.

    :param name: name of the step.
    :param rows: number of rows after the step.
    :param change: difference to the step before; 0 for the first step.
    :param note: cause of the change; empty if there is none to name.
    """

    name: str
    rows: int
    change: int = 0
    note: str = ""


def build(run: SurveyedRun) -> Section:
    """Return the section.

    :param run: the run.
    """
    steps = funnel(run)
    became = sorted(run.survey.statuses.items(), key=lambda part: (-part[1], part[0]))
    values = {
        "steps": steps,
        "widest": max([step.rows for step in steps] + [1]),
        "became": [(status, _BECAME.get(status, status), many) for status, many in became],
        "rows": run.survey.rows,
    }
    return Section("From rows in to rows out", "Rows", values)


def funnel(run: SurveyedRun) -> list[FunnelStep]:
    """Return the steps of a run. The rows of a step are those of the step before plus its change.

    Without records, the number of rows before merging is computed from the export.

    :param run: the run.
    """
    found, steps = run.survey, list[FunnelStep]()

    def at(name: str, rows: int, note: str = "") -> None:
        steps.append(FunnelStep(name, rows, rows - steps[-1].rows if steps else 0, note))

    if run.given is not None:
        at("Input", run.given.points.seen)
    for record in run.records:
        figures = record["figures"]
        rows_in, rows_out = figures.get("rows_in"), figures.get("rows_out")
        if rows_in is not None and (not steps or rows_in != steps[-1].rows):
            _came(steps, at, int(rows_in))
        if rows_out is None:
            continue
        for name, rows, note in _steps(record, int(rows_out)):
            at(name, rows, note)
    if not run.records and found.rows_entered != found.rows:
        at("Entered the merger", found.rows_entered, "counted in the export; rows filtered out later are missing")
    if not steps or steps[-1].rows != found.rows:
        at("In the export", found.rows, "other operators came after" if run.records else "")
    return steps


def _came(steps: Sequence[FunnelStep], at: Callable[[str, int, str], None], rows: int) -> None:
    if _ours_before(steps):
        at("After other operators", rows, "operators that are not of MergeIT-ops")
    else:
        at("Came to MergeIT-ops", rows, "other operators came before" if steps else "")


def _ours_before(steps: Sequence[FunnelStep]) -> bool:
    return any(step.name != "Input" for step in steps)


def _steps(record: Mapping[str, Any], rows_out: int) -> list[tuple[str, int, str]]:
    """Return the steps of one operator: name, number of rows, and note."""
    figures, step = record["figures"], (record.get("role") or {}).get("step", "")
    if "merged" in figures:
        return [(step or "Merged", rows_out, f"{many(figures['merged'], 'merge')} made")]
    if "rewritten" in figures:
        return [(step or "Rewritten", rows_out, f"{many(figures['rewritten'], 'row')} rewritten")]
    if "backtranslated" in figures:
        return [(step, rows_out, f"{many(figures['backtranslated'], 'text')} made a sample")]
    if "rejected" in figures or "accepted" in figures:
        return _gated(figures, step or "Gated", rows_out)
    topics, selected = figures.get("topics"), record.get("selected")
    note = f"{selected} of {many(topics, 'topic')}" if selected and topics else selected or ""
    return [(step, rows_out, note)] if step else []


def _gated(figures: Mapping[str, Any], step: str, rows_out: int) -> list[tuple[str, int, str]]:
    filtered = int(figures.get("filtered_out") or 0)
    rejected = sum((figures.get("rejected") or {}).values())
    steps = []
    if figures.get("accepted") or rejected:
        note = f"{many(figures.get('accepted') or 0, 'merge')} accepted, {rejected:,} taken apart again"
        steps.append((step, rows_out + filtered, note))
    if filtered:
        steps.append(("Kept by score", rows_out, "others were outside min_score and max_score"))
    return steps
