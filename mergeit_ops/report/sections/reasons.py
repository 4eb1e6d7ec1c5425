"""Why merges failed or were taken apart, and why rows were never merged."""

from __future__ import annotations

from collections import Counter

from mergeit_ops.core.merging.reasons import REASONS
from mergeit_ops.report.reason_codes import failed, rejected, unmergeable
from mergeit_ops.report.section import Section
from mergeit_ops.report.surveyed_run import SurveyedRun

__all__ = ["build"]


def build(run: SurveyedRun) -> Section | None:
    """Return the section; None if no merge failed and no row was left out.

    :param run: the run.
    """
    counts = {
        "Merges that failed": failed(run),
        "Merges that the gate took apart": rejected(run),
        "Rows that could not be merged": unmergeable(run),
    }
    parts = {name: bars for name, part in counts.items() if (bars := _bars(part))}
    return Section("Why merges failed or were taken apart", "Reasons", {"parts": parts}) if parts else None


def _bars(counts: Counter[str]) -> list[tuple[str, str, int]]:
    """Return the code, words and count of each reason, the most frequent first."""
    found = sorted(((code, many) for code, many in counts.items() if many), key=lambda part: (-part[1], part[0]))
    return [(code, REASONS.get(code, "").capitalize(), many) for code, many in found]
