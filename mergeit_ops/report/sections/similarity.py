"""The similarity of the rows of a merge."""

from __future__ import annotations

from mergeit_ops.report.histogram import histogram
from mergeit_ops.report.section import Section
from mergeit_ops.report.surveyed_run import SurveyedRun

__all__ = ["build"]


def build(run: SurveyedRun) -> Section | None:
    """Return the section; None if no merge has a known similarity.

    :param run: the run.
    """
    found = run.survey
    sets = {
        name: [merge.similarity for merge in part if merge.similarity is not None]
        for name, part in (("accepted", found.accepted), ("rejected", found.rejected))
    }
    known = [value for part in sets.values() for value in part]
    if not known:
        return None
    cosines = histogram(sets, over=known)
    values = {"medians": cosines.medians, "gated": found.gated}
    return Section("Similarity of the merged rows", "Similarity", values, {**cosines.as_data(), "gated": found.gated})
