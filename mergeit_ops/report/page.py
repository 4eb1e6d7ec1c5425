"""A finished run as one self-contained HTML page."""

from __future__ import annotations

from mergeit_ops.report.head import head
from mergeit_ops.report.rendering import fragment, render
from mergeit_ops.report.sections import build_sections
from mergeit_ops.report.surveyed_run import SurveyedRun

__all__ = ["page"]

_FOLDER = ("mergeit_ops.report", "sections")


def page(run: SurveyedRun) -> str:
    """Return the page.

    :param run: the run.
    :raises EmbeddingError: if the embedding model cannot be loaded.
    """
    sections = build_sections(run)
    bodies = {name: fragment(_FOLDER, f"{name}.html", section.values) for name, section in sections.items()}
    data = {name: section.data for name, section in sections.items() if section.data is not None}
    values = {**head(run, sections.get("beside")), "sections": sections, "bodies": bodies}
    return render(_FOLDER, "report.html", values, data, [f"{name}.js" for name in data])
