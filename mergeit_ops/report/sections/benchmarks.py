"""The rows that overlap with the user's benchmarks, and the evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mergeit_ops.report.section import Section
from mergeit_ops.report.surveyed_run import SurveyedRun

__all__ = ["build"]

_SHOWN = 20
_EVIDENCE = (
    ("ngram", "Common n-grams alone"),
    ("similarity", "A similar question alone"),
    ("both", "Both"),
)


def build(run: SurveyedRun) -> Section | None:
    """Return the section; None if no operator compared rows with benchmarks.

    :param run: the run.
    """
    records = [record for record in run.records if "contaminated" in record["figures"]]
    if not records:
        return None
    found: Counter[str] = Counter()
    files: Counter[str] = Counter()
    hits: list[Mapping[str, Any]] = []
    for record in records:
        found.update(record["figures"]["contaminated"])
        files.update(record["figures"].get("contaminated_by_file") or {})
        hits += record.get("hits") or []
    values = {
        "evidence": [(words, found[name]) for name, words in _EVIDENCE],
        "total": sum(found.values()),
        "dropped": sum(int(record["figures"].get("filtered_out") or 0) for record in records),
        "files": sorted(files.items(), key=lambda part: (-part[1], part[0])),
        "benchmarks": dict.fromkeys(record["figures"].get("benchmarks", "") for record in records),
        "hits": hits[:_SHOWN],
    }
    return Section("Rows that are in a benchmark", "Benchmarks", values)
