"""Score each sample alone, by any scorer, and filter by the score."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, Optional

from data_juicer.ops.base_op import OPERATORS

from mergeit_ops.constraints import OPTIONAL_TEXT
from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.errors import RecipeError
from mergeit_ops.jobs.scoring import STATUS, ScoreJob
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.sample_operator import SAMPLE_CONSTRAINTS
from mergeit_ops.ops.score_filter import SCORE_FILTER_CONSTRAINTS, ScoreFilter
from mergeit_ops.scorers.scoring import identity_digest, measures_of

OP_NAME = "sample_score_filter"


@OPERATORS.register_module(OP_NAME)
class SampleScoreFilter(ScoreFilter):
    """Score each sample by any scorer of the quality gate, and filter by the score.

    Each measure of the scorer goes to `__dj__stats__` under its own name, such as `ifd` or `deita_quality_score`, with
    `<name>_status` (`ok`, or why there is no score) and `<name>_made_by`, which identifies the scorer, its parameters
    and the texts of the sample. A score that a sample brings is kept if the same scorer with the same parameters made
    it from the same texts; otherwise it is made again. To keep the samples with the highest or lowest scores, put
    `budget_selector` after it. A scorer that asks a server costs money for every sample, so it needs `min_score`,
    `max_score` or `score_all: true`."""

    step = "Kept by a score"
    _constraints = {**SAMPLE_CONSTRAINTS, **SCORE_FILTER_CONSTRAINTS, "measure": OPTIONAL_TEXT, "stat": OPTIONAL_TEXT}

    def __init__(self, measure: Optional[str] = None, stat: Optional[str] = None, *args: Any, **kwargs: Any) -> None:
        """
        Initialization method.

        :param measure: the measure of the scorer that the bounds apply to; null: its first one. Some scorers have
            several measures. `response_loss` and `response_loss_api` have those that you list in `measures` in
            `scorer_params`: `ifd`, `ifd_loss_ratio`, `perplexity`, `sample_perplexity`, `reverse_ifd` and `upd`;
            `prompt_uncertainty` also has `prompt_probability`; `reasoning_trace` has `loop`, `length`, `share` and
            `truncated`; `tool_call_check` has `valid_share` and a count for each kind of mistake; `llm_judge` has one
            for each of its `rubrics`, and `<name>_pass` for a checklist.
        :param stat: key of that measure in `__dj__stats__`; null: the name that the scorer gives it, such as
            `deita_quality_score`. If you choose a name, the operators that read the score need no change when you
            switch to another scorer, and a sample can have the scores of two models.
        :param args: extra args
        :param kwargs: extra args
        :raises RecipeError: if the scorer does not have this measure, or uses the name in `stat` for another measure.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        measures = measures_of(self._scorer)
        if measure is not None and measure not in measures:
            known = ", ".join(map(repr, measures))
            raise RecipeError(
                f"{self._name}: measure must be a measure that the scorer gives, one of {known}, got {measure!r}. "
                "In scorer_params, list it in measures of response_loss, or its rubric in rubrics of llm_judge."
            )
        self.measure = measure or next(iter(measures))
        self._stats = dict(measures) | ({} if stat is None else {self.measure: stat})
        if len(set(self._stats.values())) < len(measures):
            raise RecipeError(
                f"{self._name}: stat is {stat!r}, which the scorer uses for another measure; choose another name."
            )
        if self.asks_a_server and not (self.is_bounded or self.score_all):
            raise RecipeError(
                f"{self._name}: the scorer '{self.parameters['scorer']}' asks a server about every sample, which costs "
                "money: set min_score or max_score to filter by its score, or score_all: true to have the scores."
            )

    @property
    def stat(self) -> str:
        """See `ScoreFilter`."""
        return self._stats[self.measure]

    @property
    def status(self) -> str:
        """See `ScoreFilter`."""
        return self.stat + STATUS

    @cached_property
    def _identity(self) -> str:
        params = self.parameters["scorer_params"] or {}
        return identity_digest(self._scorer, self.parameters["scorer"], params, self.bounds, self.read)

    def job(self, layout: SampleFormat, only_look: bool = False) -> ScoreJob:
        """See `ScoreFilter`."""
        stats = tuple(self._stats.values())
        decides = stats.index(self.stat)
        # Data-Juicer's analyzer plots every text among the stats, and this one differs from sample to sample.
        identity = None if only_look else self._identity
        reader = replace(self.reader(layout), reads_source=getattr(self._scorer, "reads_source", False))
        return ScoreJob(reader, self._scorer, stats, identity, self.bounds, decides, self.view)
