"""The judge, a scorer whose scores another scorer learns: how to find it by name, its scale, and its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mergeit_ops.constraints import refuse_secrets
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.rubrics import RUBRICS
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.core.secrets import loggable, shown_url
from mergeit_ops.errors import RecipeError
from mergeit_ops.scorers import SCORERS, NamedScorer, ReportingScorer, RowScorer, build_scorer
from mergeit_ops.scorers.base import ComparingScorer
from mergeit_ops.scorers.distilled import DistilledScorer, ScoreScale
from mergeit_ops.scorers.scoring import row_scores

__all__ = ["Judge", "build_judge"]

_LLM_JUDGE, _RUBRIC = "llm_judge", "rubric"
_HIDDEN = ("default_query", "model_params")  # they may hold keys


@dataclass(frozen=True)
class Judge:
    """A scorer whose scores another scorer learns.

    :param name: its name in the registry, or its import path.
    :param params: its parameters.
    :param scorer: the scorer.
    """

    name: str
    params: Mapping[str, Any]
    scorer: RowScorer = field(repr=False)

    def scores(self, samples: Sequence[Sample]) -> list[Score]:
        """Return the scores of rows.

        :param samples: n rows, all different.
        :raises LLMError: if the engine stops.
        :raises ScorerError: if the scorer fails or breaks its contract.
        """
        found = row_scores(self.scorer, samples)
        if isinstance(self.scorer, ReportingScorer):
            self.scorer.finish()
        return [found[sample] for sample in samples]

    def scale(self, values: Sequence[float]) -> ScoreScale:
        """Return the scale of the scores: the judge's own; if it has no limit at one end, the lowest or highest score
        that it gave.

        :param values: scores that the judge gave, at least two different ones.
        """
        low, high = getattr(self.scorer, "scale", (-np.inf, np.inf))
        low = float(low) if np.isfinite(low) else min(values)
        high = float(high) if np.isfinite(high) else max(values)
        no_ratio = getattr(self.scorer, "no_ratio", "") or ("its scores may be negative" if low < 0 else "")
        return ScoreScale(low, high, no_ratio)

    def described(self) -> dict[str, Any]:
        """Return the origin of the scores as plain data without secrets: name, parameters, models and prompts."""
        identity = self.scorer.identity() if isinstance(self.scorer, NamedScorer) else {}
        return {"judge": self.name, "judge_params": loggable(self.params), "judge_identity": _shown(identity)}


def build_judge(name: str, params: Mapping[str, Any]) -> Judge:
    """Return a judge.

    :param name: name of a scorer, or of a rubric of `llm_judge`.
    :param params: of the scorer.
    :raises RecipeError: if there is no scorer of this name, its parameters cannot work, or nothing can be learnt from
        it.
    :raises ScorerError: if it cannot be built.
    """
    refuse_secrets(params, "--judge-params")
    if name in RUBRICS and name not in SCORERS:
        if _RUBRIC in params or "rubrics" in params:
            raise RecipeError(
                f"--judge {name} is the rubric {name!r} of {_LLM_JUDGE}, and --judge-params names a rubric too; give "
                "one of them."
            )
        name, params = _LLM_JUDGE, {_RUBRIC: name, **params}
    elif name not in SCORERS and ":" not in name:
        scorers, rubrics = (", ".join(map(repr, names)) for names in (SCORERS, RUBRICS))
        raise RecipeError(
            f"--judge must be a scorer, one of {scorers}, a rubric of {_LLM_JUDGE}, one of {rubrics}, or an import "
            f"path 'package.module:Class', got {name!r}."
        )
    scorer = build_scorer(name, params)
    if isinstance(scorer, ComparingScorer):
        raise RecipeError(
            f"--judge must be a scorer that scores rows one by one, but {name!r} decides by comparison; name its judge."
        )
    if isinstance(scorer, DistilledScorer):
        raise RecipeError(
            f"--judge must not be {name!r}: weights that are trained on its scores inherit its errors, and the licence "
            "of its weights. Name what it was distilled from, or another judge."
        )
    return Judge(name, params, scorer)


def _shown(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    shown = {name: _shown(entry) for name, entry in value.items() if name not in _HIDDEN}
    if isinstance(shown.get("base_url"), str):
        shown["base_url"] = shown_url(shown["base_url"])
    return shown
