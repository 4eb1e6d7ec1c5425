"""Counts of the merges that failed or were taken apart, by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from mergeit_ops.report.surveyed_run import SurveyedRun
from mergeit_ops.runs.recipe_steps import REWRITER, kind_of

__all__ = ["failed", "rejected", "unmergeable"]


def failed(run: SurveyedRun) -> Counter[str]:
    """Return the number of failed merges, by reason."""
    return _recorded(run, "failed", run.survey.failed)


def rejected(run: SurveyedRun) -> Counter[str]:
    """Return the number of merges that the gate took apart, by reason."""
    return _recorded(run, "rejected", Counter(merge.rejected for merge in run.survey.merges if merge.rejected))


def unmergeable(run: SurveyedRun) -> Counter[str]:
    """Return the number of rows that were never offered for a merge, by reason."""
    return _recorded(run, "unmergeable", run.survey.unmergeable)


def _recorded(run: SurveyedRun, name: str, otherwise: Counter[str]) -> Counter[str]:
    """Return the counts of the records, or those of the export if no record has them."""
    told = [
        record["figures"][name]
        for record in run.records
        # Rewriters record failures under the same name, but these are not merges.
        if isinstance(record["figures"].get(name), Mapping) and kind_of(record) != REWRITER
    ]
    if not told:
        return otherwise
    total: Counter[str] = Counter()
    for figures in told:
        total.update({reason: int(count) for reason, count in figures.items()})
    return total
