"""The sections of the page. Each has a module, a template and, if it has plots or controls, a script."""

from __future__ import annotations

from importlib import import_module

from mergeit_ops.report.section import Section
from mergeit_ops.report.surveyed_run import SurveyedRun

__all__ = ["SECTIONS", "build_sections"]

SECTIONS = (
    "funnel",
    "selections",
    "benchmarks",
    "texts",
    "topics",
    "beside",
    "quality",
    "similarity",
    "gamma",
    "reasons",
    "merges",
    "costs",
    "about",
)
"""Names in the order of the page. The last section shows the notes of all others."""


def build_sections(run: SurveyedRun) -> dict[str, Section]:
    """Return the sections that apply to a run, by name, in the order of the page.

    :param run: the run.
    :raises EmbeddingError: if the embedding model cannot be loaded.
    """
    sections: dict[str, Section] = {}
    for name in SECTIONS:
        section: Section | None = import_module(f"{__name__}.{name}").build(run)
        if section is not None:
            sections[name] = section
    return sections
