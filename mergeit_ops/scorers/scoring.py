"""Ask any scorer for scores: about each row once, and only finite numbers count."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from mergeit_ops.core.formats.views import VIEWS, Read, View
from mergeit_ops.core.gate.comparison import Bounds, Comparison, RowComparison
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.core.text.counts import many
from mergeit_ops.errors import MergeItError, ScorerError
from mergeit_ops.scorers.base import ComparingScorer, MeasuringScorer, NamedScorer, RowScorer

__all__ = [
    "checked_list",
    "checked_rows",
    "compared_scores",
    "identity_digest",
    "measured_scores",
    "measures_of",
    "row_scores",
    "scorer_errors",
    "view_of",
]


def measures_of(scorer: RowScorer) -> Mapping[str, str]:
    """Return the name of each measure of a scorer, and the key of its stat.

    :param scorer: the scorer. If it does not name its measures, it has one with the name of its class: `ByLength` has
        `by_length`, with the stat `by_length_score`.
    """
    if isinstance(scorer, NamedScorer):
        return scorer.measures
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(scorer).__name__).lower()
    return {name: f"{name}_score"}


def view_of(scorer: Any, read: Read) -> View:
    """Return which part of a row a scorer reads.

    :param scorer: scorer of rows, or of rows in comparison with others.
    :param read: the recipe's parameter `read`.
    :raises ScorerError: if the scorer names an unknown view.
    """
    view = getattr(scorer, "reads", read)
    if view not in VIEWS:
        raise ScorerError(
            f"the scorer {type(scorer).__name__} has the attribute reads = {view!r}, which must be one of "
            f"{', '.join(map(repr, VIEWS))}."
        )
    return view


def identity_digest(
    scorer: RowScorer, name: str, params: Mapping[str, Any], bounds: Bounds, read: Read = "answer"
) -> str:
    """Return a digest of everything except the rows that affects the scores of a scorer.

    :param scorer: the scorer.
    :param name: its name in the recipe.
    :param params: its parameters in the recipe. They are part of the digest if the scorer has no `identity`.
    :param bounds: bounds that the scores are compared with. They are part of the digest if a score may depend on them.
    :param read: which part of a row with a reasoning trace it reads, if the recipe decides this.
    """
    made_of = scorer.identity() if isinstance(scorer, NamedScorer) else params
    decided = [bounds.low, bounds.high] if isinstance(scorer, ComparingScorer) else None
    text = json.dumps([name, made_of, decided, view_of(scorer, read)], sort_keys=True, default=repr)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def measured_scores(scorer: RowScorer, samples: Sequence[Sample], bounds: Bounds) -> list[tuple[Score, ...]]:
    """Return the scores of rows by every measure of a scorer.

    :param scorer: the scorer, which is asked once about each distinct row.
    :param samples: n rows.
    :param bounds: bounds that the scores will be compared with.
    :return: n tuples with a score for each of `measures_of`; a value is a finite float or None.
    :raises ScorerError: if the scorer fails or breaks its contract.
    """
    distinct = list(dict.fromkeys(samples))
    if isinstance(scorer, MeasuringScorer) and distinct:
        with scorer_errors(scorer):
            found = scorer.measure(distinct)
        rows = checked_rows(scorer, found, len(distinct), len(scorer.measures))
    else:
        rows = [tuple(scores) for scores in compared_scores(scorer, [RowComparison(one, bounds) for one in distinct])]
    scores_of = dict(zip(distinct, rows, strict=True))
    return [scores_of[sample] for sample in samples]


def compared_scores(scorer: RowScorer, comparisons: Sequence[Comparison]) -> list[list[Score]]:
    """Return the scores of the rows of each comparison.

    :param scorer: the scorer, which is asked about comparisons if it has `score_comparisons`, and about rows otherwise.
    :param comparisons: n of them.
    :return: n lists of scores, in the order of the samples; a value is a finite float or None.
    :raises ScorerError: if the scorer fails or breaks its contract.
    """
    if not isinstance(scorer, ComparingScorer):
        scores = row_scores(scorer, (sample for comparison in comparisons for sample in comparison.samples))
        return [[scores[sample] for sample in comparison.samples] for comparison in comparisons]
    with scorer_errors(scorer):
        found = scorer.score_comparisons(comparisons)
    asked = [len(comparison.samples) for comparison in comparisons]
    found = [_checked(scorer, scores) for scores in checked_list(scorer, found)]
    if [len(scores) for scores in found] != asked:
        raise ScorerError(
            f"the scorer {type(scorer).__name__} gave scores for {many(sum(map(len, found)), 'row')} in "
            f"{many(len(found), 'comparison')}, but {sum(asked)} in {len(asked)} were asked for."
        )
    return found


def row_scores(scorer: RowScorer, samples: Iterable[Sample]) -> dict[Sample, Score]:
    """Return the scores of rows.

    :param scorer: the scorer, which is asked once about each distinct row, and not at all without rows.
    :param samples: rows, in any order and number.
    :return: maps each row to its score; a value is a finite float or None.
    :raises ScorerError: if the scorer fails or breaks its contract.
    """
    distinct = list(dict.fromkeys(samples))
    if not distinct:
        return {}
    with scorer_errors(scorer):
        scores = scorer.score(distinct)
    scores = _checked(scorer, scores)
    if len(scores) != len(distinct):
        counts = f"{many(len(scores), 'score')} for {many(len(distinct), 'row')}"
        raise ScorerError(f"the scorer {type(scorer).__name__} gave {counts}.")
    return dict(zip(distinct, scores, strict=True))


@contextmanager
def scorer_errors(scorer: object) -> Iterator[None]:
    """Turn an exception of a scorer into a `ScorerError` that names the scorer.

    :raises ScorerError: if the scorer raises an exception that is not ours.
    """
    try:
        yield
    except MergeItError:
        raise
    except Exception as error:  # a user's scorer may raise anything
        raise _failed(scorer, error) from error


def checked_rows(scorer: object, found: object, rows: int, measures: int) -> list[tuple[Score, ...]]:
    """Return the result of a scorer as finite scores, a tuple for each row.

    :param rows: number of rows that it was asked about.
    :param measures: number of scores of each row.
    :raises ScorerError: if the result is something else.
    """
    checked = [tuple(_checked(scorer, scores)) for scores in checked_list(scorer, found)]
    if [len(row) for row in checked] != [measures] * rows:
        raise ScorerError(
            f"the scorer {type(scorer).__name__} must give {many(measures, 'score')} for each of {many(rows, 'row')}, "
            "one for each of its measures."
        )
    return checked


def _failed(scorer: object, error: Exception) -> ScorerError:
    return ScorerError(f"the scorer {type(scorer).__name__} failed ({type(error).__name__}: {error}).")


def checked_list(scorer: object, found: object) -> list[Any]:
    """Return the result of a scorer as a list.

    :raises ScorerError: if it is not a list.
    """
    if isinstance(found, (str, bytes, Mapping)) or not isinstance(found, Iterable):
        raise ScorerError(
            f"the scorer {type(scorer).__name__} must return a list of Score, one per row, got {type(found).__name__}."
        )
    return list(found)


def _checked(scorer: object, found: object) -> list[Score]:
    """Return the result of a scorer as finite scores."""
    scores = checked_list(scorer, found)
    wrong = [score for score in scores if not isinstance(score, Score)]
    if wrong:
        raise ScorerError(
            f"the scorer {type(scorer).__name__} must return a list of Score (from mergeit_ops.scorers), got "
            f"{type(wrong[0]).__name__} {wrong[0]!r:.50} in it: return Score(value) for it, or Score.missing(reason)."
        )
    try:
        return list(map(_finite, scores))
    except (TypeError, ValueError, OverflowError) as error:
        raise _failed(scorer, error) from error


def _finite(score: Score) -> Score:
    """Return a score as a plain float; a value that is not a finite number becomes a missing score."""
    if score.value is None:
        return score
    value = float(score.value)
    return replace(score, value=value) if math.isfinite(value) else Score.missing("not_finite")
