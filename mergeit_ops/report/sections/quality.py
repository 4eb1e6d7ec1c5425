"""The scores of merges and of their parents."""

from __future__ import annotations

from mergeit_ops.report.histogram import Histogram, histogram
from mergeit_ops.report.section import Section
from mergeit_ops.report.survey import MergeFigures
from mergeit_ops.report.surveyed_run import SurveyedRun

__all__ = ["build"]


def build(run: SurveyedRun) -> Section | None:
    """Return the section; None if no merge was scored.

    :param run: the run.
    """
    found = run.survey
    scored = {"accepted": _scored(found.accepted), "rejected": _scored(found.rejected)}
    values = [value for merges in scored.values() for merge in merges for value in (merge.before, merge.after)]
    parts = {name: _before_and_after(merges, values) for name, merges in scored.items() if merges}
    if not parts:
        return None
    data = {name: part.as_data() for name, part in parts.items()}
    return Section("Quality before and after", "Quality", {"parts": parts}, data)


def _scored(merges: list[MergeFigures]) -> list[MergeFigures]:
    return [merge for merge in merges if merge.scored]


def _before_and_after(merges: list[MergeFigures], values: list[float | None]) -> Histogram:
    sets = {"before": [merge.before for merge in merges], "after": [merge.after for merge in merges]}
    return histogram(sets, over=values)
