"""The way from the rows that came in to those in the export, stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mergeit_ops.report.survey import Survey

__all__ = ["Stage", "funnel"]


@dataclass(frozen=True)
class Stage:
    """Rows at one point of a run.

    :param name: what has been done to them.
    :param rows: how many there are.
    :param change: from the stage before; 0 for the first.
    :param note: how the change comes about; empty when there is nothing to say.
    """

    name: str
    rows: int
    change: int = 0
    note: str = ""


def funnel(records: Sequence[Mapping[str, Any]], found: Survey, input_rows: int | None = None) -> list[Stage]:
    """Return the stages of a run, each the one before plus its change.

    :param records: what the operators have recorded, in the order of the recipe; without any, the export alone tells
        what entered the merger.
    :param found: what the export tells.
    :param input_rows: rows of the input, where it was given.
    """
    stages: list[Stage] = []

    def at(name: str, rows: int, note: str = "") -> None:
        stages.append(Stage(name, rows, rows - stages[-1].rows if stages else 0, note))

    if input_rows is not None:
        at("Input", input_rows)
    for record in records:
        figures = record["figures"]
        rows_in, rows_out = figures.get("rows_in"), figures.get("rows_out")
        if rows_in is not None and (not stages or rows_in != stages[-1].rows):
            _came(stages, at, int(rows_in))
        if rows_out is None:
            continue
        for name, rows, note in _steps(record, int(rows_out)):
            at(name, rows, note)
    if not records and found.rows_entered != found.rows:
        at("Entered the merger", found.rows_entered, "told by the export: rows filtered out later are missing")
    if not stages or stages[-1].rows != found.rows:
        at("In the export", found.rows, "other operators came after" if records else "")
    return stages


def _came(stages: Sequence[Stage], at: Callable[[str, int, str], None], rows: int) -> None:
    if _ours_before(stages):
        at("After other operators", rows, "operators that are not of MergeIT-ops")
    else:
        at("Came to MergeIT-ops", rows, "other operators came before" if stages else "")


def _ours_before(stages: Sequence[Stage]) -> bool:
    return any(stage.name != "Input" for stage in stages)


def _steps(record: Mapping[str, Any], rows_out: int) -> list[tuple[str, int, str]]:
    """Return the stages of one operator: what its rows are, how many, and how the change comes about."""
    figures, step = record["figures"], (record.get("role") or {}).get("step", "")
    if "merged" in figures:
        return [(step or "Merged", rows_out, f"{_many(figures['merged'], 'merge')} made")]
    if "rejected" in figures or "accepted" in figures:
        return _gated(figures, step or "Gated", rows_out)
    topics, selected = figures.get("topics"), record.get("selected")
    note = f"{selected} of {topics:,} topics" if selected and topics else selected or ""
    return [(step, rows_out, note)] if step else []


def _gated(figures: Mapping[str, Any], step: str, rows_out: int) -> list[tuple[str, int, str]]:
    filtered = int(figures.get("filtered_out") or 0)
    rejected = sum((figures.get("rejected") or {}).values())
    steps = []
    if figures.get("accepted") or rejected:
        note = f"{_many(figures.get('accepted') or 0, 'merge')} accepted, {rejected:,} taken apart again"
        steps.append((step, rows_out + filtered, note))
    if filtered:
        steps.append(("Kept by score", rows_out, "others were outside min_score and max_score"))
    return steps


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
