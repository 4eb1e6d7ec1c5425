"""The sources of the page, and notes about what it leaves out."""

from __future__ import annotations

from mergeit_ops.report.section import Section
from mergeit_ops.report.surveyed_run import SurveyedRun

__all__ = ["build"]


def build(run: SurveyedRun) -> Section:
    """Return the section.

    :param run: the run, with the notes of all other sections.
    """
    if not run.records:
        run.notes.append(
            "No records of the run were found (--work-dir names their folder). Calls, tokens, times, the recipe's "
            "gamma and the rows before merging are shown only as far as the export has them."
        )
    values = {
        "export": run.run.export.name,
        "files": len(run.run.files),
        "rows": run.survey.rows,
        "work_dir": None if run.run.work_dir is None else run.run.work_dir.name,
        "input": None if run.given is None else run.given.name,
        "embedded": None if run.space is None else run.space.embedded,
        "model": run.model,
        "notes": run.notes,
    }
    return Section("About this report", "About", values)
