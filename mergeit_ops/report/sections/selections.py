"""The chosen rows of each selection, compared with all rows: scores, similarity to a target, and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mergeit_ops.report.section import Section
from mergeit_ops.report.surveyed_run import SurveyedRun

__all__ = ["build"]

_MEASURES = (
    ("mean_score", "Mean score", 3),
    ("target_similarity", "Similarity to the target", 4),
    ("tokens", "Tokens, estimated", 0),
)
"""Figures of a record that compare the chosen rows with all rows: key, label, digits."""


def build(run: SurveyedRun) -> Section | None:
    """Return the section; None if no selection recorded scores, a target, tokens or a limit of similarity.

    :param run: the run.
    """
    selections = [told for record in run.records if (told := _told(record))]
    if not selections:
        return None
    return Section("What was chosen", "Chosen", {"selections": selections})


def _told(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the values of a selection for the template; None if the record has none."""
    figures = record["figures"]
    measures = [
        (label, figures[key]["chosen"], figures[key]["all"], digits)
        for key, label, digits in _MEASURES
        if isinstance(figures.get(key), Mapping)
    ]
    alike = figures.get("too_alike")
    if not measures and alike is None:
        return None
    return {
        "operator": record["operator"],
        "selected": record.get("selected", ""),
        "rows": figures.get("rows_out"),
        "of": figures.get("rows_in"),
        "measures": measures,
        "too_alike": alike,
    }
