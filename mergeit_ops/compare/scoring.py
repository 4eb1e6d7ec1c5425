"""Scores of the rows of several sets by one scorer, so that the sets are comparable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mergeit_ops.compare.reading import RowSet
from mergeit_ops.core.formats.exchanges import answers_only
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.core.text.counts import many
from mergeit_ops.core.topics.clustering import fit_sample
from mergeit_ops.errors import ScorerError
from mergeit_ops.scorers import ReportingScorer, RowScorer
from mergeit_ops.scorers.scoring import row_scores, view_of

__all__ = ["scores_of"]

_VIEWS: Mapping[str, Callable[[Sample], Sample]] = {"answer": answers_only, "parts": lambda sample: sample}
"""The views of a sample that a comparison has. Recipes have more views, such as tools."""
_AT_ONCE = 2_000  # rows; limits the memory of the scorer


def scores_of(
    sets: Sequence[RowSet], scorer: RowScorer, most: int, say: Callable[[str], None]
) -> list[dict[int, float | None]]:
    """Return the scores of some rows of each set.

    The rows with the lowest ids are scored, which are a uniform sample. If two sets have about the same size and share
    a row, both samples have this row or neither has it, and it is scored once.


    :param sets: the sets.
    :param scorer: the scorer for all sets.
    :param most: maximum number of rows to score in each set.
    :param say: called with each line of progress.
    :return: for each set, score by position of the sample; None: it could not be scored.
    :raises ScorerError: if the scorer fails, breaks its contract, or reads parts that a comparison does not have.
    """
    chosen = [sorted(fit_sample(one.ids, most).tolist()) for one in sets]
    view = view_of(scorer, "answer")
    if view not in _VIEWS:
        raise ScorerError(
            f"the scorer {type(scorer).__name__} reads tools and tool calls, which `compare` does not read; use it in "
            "sample_score_filter."
        )
    read = [{row: _VIEWS[view](one.samples[row]) for row in rows} for one, rows in zip(sets, chosen, strict=True)]
    samples = list(dict.fromkeys(sample for rows in read for sample in rows.values()))
    say(f"Scoring {many(len(samples), 'row')} ...")
    scores: dict[Sample, Score] = {}
    for start in range(0, len(samples), _AT_ONCE):
        scores |= row_scores(scorer, samples[start : start + _AT_ONCE])
    if isinstance(scorer, ReportingScorer):
        scorer.finish()
    return [{row: scores[sample].value for row, sample in rows.items()} for rows in read]
