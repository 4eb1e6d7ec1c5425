"""Asking a scorer, whoever wrote it: each row once, and nothing taken for a score that is none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mergeit_ops.core.gate.comparison import Comparison
from mergeit_ops.core.sample import Sample
from mergeit_ops.errors import MergeItError, ScorerError
from mergeit_ops.scorers.base import ComparingScorer, Score, Scorer

__all__ = ["compared_scores", "row_scores"]


def compared_scores(scorer: Scorer, comparisons: Sequence[Comparison]) -> list[list[Score]]:
    """Return the scores of the rows of each comparison.

    :param scorer: asked for comparisons where it can tell them apart, else for rows.
    :param comparisons: n of them.
    :return: n lists of scores, in the order of the samples; a value is a finite float or None.
    :raises ScorerError: when the scorer fails or breaks its contract.
    """
    if not isinstance(scorer, ComparingScorer):
        scores = row_scores(scorer, (sample for comparison in comparisons for sample in comparison.samples))
        return [[scores[sample] for sample in comparison.samples] for comparison in comparisons]
    try:
        found = scorer.score_comparisons(comparisons)
    except MergeItError:
        raise
    except Exception as error:
        raise _failed(scorer, error) from error
    asked = [len(comparison.samples) for comparison in comparisons]
    found = [_checked(scorer, scores) for scores in _checked_list(scorer, found)]
    if [len(scores) for scores in found] != asked:
        raise ScorerError(
            f"the scorer {type(scorer).__name__} gave scores for {sum(map(len, found))} rows in {len(found)} "
            f"comparisons, where {sum(asked)} in {len(asked)} were asked for."
        )
    return found


def row_scores(scorer: Scorer, samples: Iterable[Sample]) -> dict[Sample, Score]:
    """Return the scores of rows.

    :param scorer: asked once for each distinct row, and not at all without rows.
    :param samples: rows, in any order and number.
    :return: row to score; a value is a finite float or None.
    :raises ScorerError: when the scorer fails or breaks its contract.
    """
    distinct = list(dict.fromkeys(samples))
    if not distinct:
        return {}
    try:
        scores = scorer.score(distinct)
    except MergeItError:
        raise
    except Exception as error:  # a scorer of the user's own may raise anything
        raise _failed(scorer, error) from error
    scores = _checked(scorer, scores)
    if len(scores) != len(distinct):
        raise ScorerError(f"the scorer {type(scorer).__name__} gave {len(scores)} scores for {len(distinct)} rows.")
    return dict(zip(distinct, scores, strict=True))


def _failed(scorer: Scorer, error: Exception) -> ScorerError:
    return ScorerError(f"the scorer {type(scorer).__name__} failed ({type(error).__name__}: {error}).")


def _checked_list(scorer: Scorer, found: object) -> list[Any]:
    if isinstance(found, (str, bytes, Mapping)) or not isinstance(found, Iterable):
        raise ScorerError(
            f"the scorer {type(scorer).__name__} must return a list of Score, one per row, got {type(found).__name__}."
        )
    return list(found)


def _checked(scorer: Scorer, found: object) -> list[Score]:
    """Return what a scorer gave as finite scores."""
    scores = _checked_list(scorer, found)
    wrong = next((score for score in scores if not isinstance(score, Score)), None)
    if wrong is not None:
        raise ScorerError(
            f"the scorer {type(scorer).__name__} must return a list of Score (from mergeit_ops.scorers), got "
            f"{type(wrong).__name__} {wrong!r:.50} in it: return Score(value) for it, or Score.missing(reason)."
        )
    try:
        return list(map(_finite, scores))
    except (TypeError, ValueError, OverflowError) as error:
        raise _failed(scorer, error) from error


def _finite(score: Score) -> Score:
    """Return a score as a plain float; what is no number is no score."""
    if score.value is None:
        return score
    value = float(score.value)
    return replace(score, value=value) if math.isfinite(value) else Score.missing("not_finite")
