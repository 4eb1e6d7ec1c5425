"""Reasons why merges failed or were taken apart: their counts, and the reasons in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from mergeit_ops.report.surveyed_run import SurveyedRun
from mergeit_ops.runs.recipe_steps import REWRITER, kind_of

__all__ = ["REASONS", "failed", "rejected", "unmergeable"]

REASONS = {
    # Failed merges.
    "api_failed": "the server gave no answer",
    "too_long": "longer than the model's window, or than memory holds",
    "unparsable": "the answer could not be read",
    "refused": "the model refused",
    "truncated": "the answer was cut off",
    "empty": "the answer was blank",
    "echo": "the answer copied a parent",
    "parent_lost": "the answer lost a part of a parent",
    "added_demand": "the answer asks for something that no parent asks for",
    "no_choices": "the server's reply had no answer",
    "budget": "the token budget was spent",
    "unlikely": "an accepted merge was unlikely, so no model was called",
    # Failed rewritings.
    "length": "the instruction has too few or too many words",
    "language": "the answer is in another language",
    "new_url": "the answer has a web address that the row does not have",
    "procedure": "the answer mentions how it was made",
    # Rejected merges.
    "score": "not good enough for gamma",
    "coverage": "kept too little of a parent",
    "reverse_ifd": "the answer hardly determines its question",
    "no_score": "could not be scored",
    # Rows that were never offered for a merge.
    "unencodable": "has a value without a text form",
    "bad_row": "instruction or response missing",
    "multi_turn": "more than one question and answer",
    "more_than_text": "has tools, images or the like",
    "reasoning": "has a reasoning trace",
}


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
