"""The head of the page: the comparison with random rows, the cost, and the recipe and models of the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from mergeit_ops.core.measures.bootstrap import Interval
from mergeit_ops.dataset.manifest import RECIPE
from mergeit_ops.report.reason_codes import failed, rejected
from mergeit_ops.report.section import Section
from mergeit_ops.report.sections.beside import PoolComparison
from mergeit_ops.report.sections.costs import costs, total
from mergeit_ops.report.sections.funnel import funnel
from mergeit_ops.report.surveyed_run import SurveyedRun

__all__ = ["Against", "against_random", "head", "made_with"]

_MODELS = 3
"""Largest number of merging models that the head names."""


@dataclass(frozen=True)
class Against:
    """A measure of the export compared with the same number of random rows of the input.

    :param measure: name of the measure.
    :param word: `better`, `worse`, or `not clearly different` if the interval contains 0.
    :param difference: export minus random rows, with its interval.
    """

    measure: str
    word: str
    difference: str


def head(run: SurveyedRun, beside: Section | None) -> dict[str, Any]:
    """Return the values for the template of the head.

    :param run: the run.
    :param beside: the section that compares the export with the input; None if there is none.
    """
    found = run.survey
    return {
        "export": run.run.export.name,
        "against": [] if beside is None else against_random(beside.values["comparison"]),
        "reference": None if beside is None else beside.values["reference"],
        "made_with": list(made_with(run)),
        "unit": "rows" if run.layout is None else run.layout.unit,
        "rows_in": funnel(run)[0].rows,
        "rows_out": found.rows,
        "merges": len(found.merges),
        "judged": found.gated or bool(rejected(run)),
        "accepted": len(found.accepted),
        "failed": sum(failed(run).values()),
        "topics": len(found.topics),
        "total": total(costs(run.records)),
    }


def against_random(comparison: PoolComparison) -> list[Against]:
    """Return the comparison with random rows, one entry for each measure.

    :param comparison: comparison of the export with the input and with random rows of it.
    """
    coverage, redundancy = comparison.coverage_gain, comparison.redundancy_gain
    return [
        Against("coverage", _word(coverage, higher_is_better=True), _difference(coverage, "", 3)),
        Against("redundancy", _word(redundancy, higher_is_better=False), _difference(redundancy, " %", 1)),
    ]


def _word(gain: Interval, *, higher_is_better: bool) -> str:
    if not gain.excludes_zero:
        return "not clearly different"
    return "better" if (gain.estimate > 0) == higher_is_better else "worse"


def _difference(gain: Interval, unit: str, digits: int) -> str:
    scale = 100 if unit else 1

    def signed(value: float) -> str:
        text = f"{scale * value:+.{digits}f}"
        return text.replace("-", "−") if text.strip("+-0.") else text.lstrip("+-")

    if gain.low is None or gain.high is None:
        return f"{signed(gain.estimate)}{unit}"
    return f"{signed(gain.estimate)}{unit} ({signed(gain.low)} to {signed(gain.high)})"


def made_with(run: SurveyedRun) -> Iterator[tuple[str, str]]:
    """Yield a label and a value for each known fact about how the run was made.

    :param run: the run.
    """
    records = run.records
    if dry := run.run.records.dry:
        yield "Dry run", f"{', '.join(dry)} called no model, so the rows are not a result"
    if recipe := next((record[RECIPE] for record in records if isinstance(record.get(RECIPE), str)), None):
        yield "Recipe", recipe
    if models := run.survey.models.most_common():
        more = f" and {len(models) - _MODELS} more" if len(models) > _MODELS else ""
        yield "Merges by", ", ".join(model for model, _ in models[:_MODELS]) + more
    if scorers := list(dict.fromkeys(filter(None, map(_scorer, records)))):
        yield "Scores by", ", ".join(scorers)
    if run.space is not None:
        yield "Embeddings by", run.model
    if started := [record["started"] for record in records if isinstance(record.get("started"), (int, float))]:
        yield "Run on", datetime.fromtimestamp(min(started), timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _scorer(record: Mapping[str, Any]) -> str | None:
    """Return the scorer of an operator with the name of its model, if it has one."""
    parameters = record.get("parameters") or {}
    scorer = parameters.get("scorer")
    if not isinstance(scorer, str):
        return None
    model = (parameters.get("scorer_params") or {}).get("api_or_hf_model")
    named = ((record.get("figures") or {}).get("scoring") or {}).get("answered_as") or {}
    asked = ", ".join(named) or model
    return f"{scorer} ({asked})" if isinstance(asked, str) and asked else scorer
