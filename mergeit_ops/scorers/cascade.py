"""A cheap scorer for every decision, and a costly one only for close calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from mergeit_ops.constraints import Number, check
from mergeit_ops.core.gate.comparison import Comparison
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.errors import RecipeError, ScorerError
from mergeit_ops.llm.engine import LLMEngine
from mergeit_ops.scorers.base import ComparingScorer, NamedScorer, PayingScorer, ReportingScorer, RowScorer
from mergeit_ops.scorers.scoring import row_scores

__all__ = ["CascadeScorer"]

_COUNTS = ("decisions", "settled_by_cheap", "asked_of_judge", "agreed", "disagreed", "rows", "rows_judged")


class CascadeScorer:
    """Scores every row with a cheap scorer, and asks a judge only about decisions within `margin` of their threshold:
    gamma times the parents' reference score for a merge, `min_score` or `max_score` for a row.

    The rows of one decision are always on one scale. If a merge is a close call, the judge scores it, its other
    candidates and its parents; otherwise all of them have the cheap scorer's scores. If a row has no score, so that the
    cheap scorer cannot decide, the judge is asked. If the judge gives no score either, the merge is not accepted. Each
    decision is made separately, so it does not depend on the batches.

    `quality_score` comes from one scorer for some rows and from the other for the rest. To rank rows by it, use one
    scorer alone.

    :param cheap: name of a scorer, or a mapping that holds the name under `scorer`, and its parameters.
    :param judge: the costly scorer, in the same form; not another `cascade`.
    :param margin: distance from the threshold, in points of the cheap scorer and at least 0, up to which the judge is
        asked.
    :param device: device of the scorers' local models; None lets each scorer choose.
    :param accelerator: `cpu` or `cuda` for a judge that is a local model; None lets the judge choose.
    :raises RecipeError: if a parameter cannot work. The sentence names it, what is allowed and what was given.
    :raises ScorerError: if a scorer cannot be built.
    """

    measures: ClassVar[Mapping[str, str]] = {"cascade": "cascade_score"}

    def __init__(
        self,
        *,
        cheap: str | Mapping[str, Any] = "distilled",
        judge: str | Mapping[str, Any] = "llm_judge",
        margin: float = 0.3,
        device: str | None = None,
        accelerator: str | None = None,
    ) -> None:
        check({"margin": Number(low=0)}, {"margin": margin}, "cascade")
        self.margin = float(margin)
        defaults = {"device": device, "accelerator": accelerator}
        defaults = {name: value for name, value in defaults.items() if value is not None}
        self._cheap = _built("cheap", cheap, defaults)
        self._judge = _built("judge", judge, defaults)
        self._named = {"cheap": cheap, "judge": judge}
        self.no_ratio = next((why for part in (self._cheap, self._judge) if (why := getattr(part, "no_ratio", ""))), "")
        self._counts = dict.fromkeys(_COUNTS, 0)

    def identity(self) -> Mapping[str, Any]:
        """See `NamedScorer`."""
        parts = {"cheap": self._cheap, "judge": self._judge}
        known = {
            role: dict(part.identity()) if isinstance(part, NamedScorer) else self._named[role]
            for role, part in parts.items()
        }
        return {"margin": self.margin, "named": {role: _name_of(named) for role, named in self._named.items()}, **known}

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Score rows that need no decision, with the cheap scorer.

        :param samples: n rows.
        """
        scores = row_scores(self._cheap, samples)
        return [scores[sample] for sample in samples]

    def score_comparisons(self, comparisons: Sequence[Comparison]) -> list[list[Score]]:
        """See `ComparingScorer`."""
        cheap = row_scores(self._cheap, (sample for comparison in comparisons for sample in comparison.samples))
        close = [comparison for comparison in comparisons if self._is_close(comparison, cheap)]
        judged = row_scores(self._judge, (sample for comparison in close for sample in comparison.samples))
        self._note(len(comparisons), close, cheap, judged)
        asked = set(map(id, close))
        return [
            [(judged if id(comparison) in asked else cheap)[sample] for sample in comparison.samples]
            for comparison in comparisons
        ]

    def engines(self) -> Sequence[LLMEngine]:
        """See `PayingScorer`."""
        scorers = (self._cheap, self._judge)
        return [engine for scorer in scorers if isinstance(scorer, PayingScorer) for engine in scorer.engines()]

    def finish(self) -> None:
        """See `ReportingScorer`. The judge sees only a few rows; if all of them failed, that says nothing about the
        others."""
        if isinstance(self._cheap, ReportingScorer):
            self._cheap.finish()

    def figures(self) -> Mapping[str, Any]:
        """Return how many decisions there were, how many the cheap scorer settled, how many the judge was asked about,
        in how many of those both would have decided alike, how many rows each of them scored, and the figures of both.

        Agreement counts only decisions for which both have all scores. Rows are counted once per part of the dataset.
        """
        if not self._counts["decisions"]:
            return {}
        parts = {"cheap": self._cheap, "judge": self._judge}
        inner = {name: dict(scorer.figures()) for name, scorer in parts.items() if isinstance(scorer, ReportingScorer)}
        return {**self._counts, **{name: known for name, known in inner.items() if known}}

    def _is_close(self, comparison: Comparison, cheap: Mapping[Sample, Score]) -> bool:
        distance = comparison.distance(_values(comparison, cheap))
        return distance is None or distance <= self.margin

    def _note(
        self,
        decisions: int,
        close: Sequence[Comparison],
        cheap: Mapping[Sample, Score],
        judged: Mapping[Sample, Score],
    ) -> None:
        counts = self._counts
        counts["decisions"] += decisions
        counts["asked_of_judge"] += len(close)
        counts["settled_by_cheap"] += decisions - len(close)
        counts["rows"] += len(cheap)
        counts["rows_judged"] += len(judged)
        for comparison in close:
            first, second = _values(comparison, cheap), _values(comparison, judged)
            if None not in first and None not in second:
                alike = comparison.outcome(first) == comparison.outcome(second)
                counts["agreed" if alike else "disagreed"] += 1


def _values(comparison: Comparison, scores: Mapping[Sample, Score]) -> list[float | None]:
    return [scores[sample].value for sample in comparison.samples]


def _name_of(named: Any) -> Any:
    return named.get("scorer") if isinstance(named, Mapping) else named


def _built(role: str, named: Any, defaults: Mapping[str, Any]) -> RowScorer:
    from mergeit_ops.scorers import build_scorer

    params = dict(named) if isinstance(named, Mapping) else {"scorer": named}
    name = params.pop("scorer", None)
    if not isinstance(name, str) or not name:
        raise RecipeError(
            f"cascade: {role} must be the name of a scorer, or a mapping that holds the name under 'scorer', and its "
            f"parameters, got {named!r}."
        )
    try:
        scorer = build_scorer(name, params, **defaults)
    except (RecipeError, ScorerError) as error:
        raise type(error)(f"cascade: {role}: {error}") from error
    if isinstance(scorer, ComparingScorer):
        raise RecipeError(f"cascade: {role} must be a scorer that scores rows one by one, got {name!r}.")
    return scorer
