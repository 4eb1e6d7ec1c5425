"""Base class of filters that score flat samples by a scorer and keep those within bounds."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional

import pyarrow as pa
from loguru import logger

from mergeit_ops.constraints import FLAG, MAPPING, TEXT, Constraint, OneOf
from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.formats.views import READS, Read, View
from mergeit_ops.core.text.counts import many
from mergeit_ops.dataset.manifest import run_of
from mergeit_ops.distributed import in_ray_worker
from mergeit_ops.errors import named
from mergeit_ops.jobs.asking import rows_at_once
from mergeit_ops.jobs.scoring import ScoringJob
from mergeit_ops.ops.bounded_filter import BOUND_CONSTRAINTS, BoundedFilter
from mergeit_ops.ops.parameters import declare
from mergeit_ops.scorers import PayingScorer, ReportingScorer, build_scorer
from mergeit_ops.scorers.scoring import view_of
from mergeit_ops.worker import worker

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine

__all__ = ["SCORE_FILTER_CONSTRAINTS", "ScoreFilter"]

SCORE_FILTER_CONSTRAINTS: Mapping[str, Constraint] = {
    "scorer": TEXT,
    "scorer_params": MAPPING,
    **BOUND_CONSTRAINTS,
    "score_all": FLAG,
    "read": OneOf(READS),
}


class ScoreFilter(BoundedFilter):
    """Base class of filters by a scorer. A subclass provides the job, and the stat that the bounds apply to."""

    def __init__(
        self,
        *args: Any,
        scorer: str = "distilled",
        scorer_params: Optional[dict[str, Any]] = None,
        score_all: bool = False,
        read: str = "answer",
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param scorer: `distilled`: a small regressor to the Deita quality score, on the CPU; `deita`: the published
            Deita scorer, a local Hugging Face model with 7B parameters; `deita_api`: the same model on an
            OpenAI-compatible server; `llm_judge`: a language model with a rubric, either a built-in one (AlpaGasus,
            LIFT, Humpback, WaveCoder and others) or your own; `cascade`: a cheap scorer, and a judge for close calls;
            `response_loss`: IFD by a causal language model, or perplexity (`sample_score_filter` only);
            `response_loss_api`: the same on a server that returns log-probabilities of prompts; `reward_model`: a
            sequence classifier trained on preferences (`sample_score_filter` only); `prompt_uncertainty`: how much the
            probability of the response depends on the wording of the instruction, by a causal language model
            (`num_perturbations`, `drop_rate`, `seed`); `selectit`: how a local model rates the sample when it is asked
            in several ways (`hf_model`, `num_prompts`, `alpha`, `rating_prompts`); `selectit_api`: the same on a server
            that returns log-probabilities; `reasoning_trace`: whether a reasoning trace goes round in circles, how long
            it is and whether it was cut off (`sample_score_filter` only); `tool_call_check`: whether tool calls fit the
            schemas of their tools (`sample_score_filter` only); or the import path `package.module:Class` of your own
            scorer.
        :param scorer_params: keyword arguments of the scorer. Never put a key here; it is read from the environment
            variable OPENAI_API_KEY.
        :param score_all: whether samples that were never paired are scored too. `sample_score_filter` scores all
            samples anyway; there this parameter allows a scorer that asks a server to run without bounds.
        :param read: what the scorer reads of a sample with a reasoning trace, in any layout: `answer`, everything that
            the assistant writes except the trace; `response`, the trace and the answer after it. If the layout keeps
            the trace in a separate field or channel, the trace is put into `<think>`. The parameter has no effect on
            samples without a trace, or with `reasoning_trace` and `tool_call_check`.
        :param args: see `SampleOperator`.
        :param kwargs: see `SampleOperator`.
        :raises RecipeError: if the scorer does not take its parameters.
        :raises ScorerError: if the scorer cannot be built.
        :raises LLMError: if the scorer asks a server that it cannot reach with these settings.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        self.score_all = score_all
        self.read: Read = read  # type: ignore[assignment]
        with named(self._name):
            # Without `accelerator`, the scorer chooses its device: large models take a GPU if there is one.
            accelerator = kwargs.get("accelerator")
            asked = {} if accelerator is None else {"device": self.device, "accelerator": accelerator}
            self._scorer = build_scorer(scorer, scorer_params, **asked)
            # The driver has checked this. A Ray worker that builds the operator again may be unable to.
            if not in_ray_worker():
                for engine in self._engines:
                    engine.check()

    def job(self, layout: SampleFormat, only_look: bool = False) -> ScoringJob:
        """Return what scores a table.

        :param layout: layout of its samples.
        :param only_look: whether `dj-analyze` only looks at the stats.
        """
        raise NotImplementedError

    def job_for(self, columns: Sequence[str], only_look: bool = False) -> ScoringJob:
        """See `StatsFilter`."""
        return self.job(self.layout_of(columns), only_look)

    @property
    def view(self) -> View:
        """Return which part of a sample the scorer reads."""
        return view_of(self._scorer, self.read)

    @property
    def asks_a_server(self) -> bool:
        """Return whether scores cost money because the scorer sends requests to a server."""
        return any(engine.asks_a_server for engine in self._engines)

    @property
    def asks_a_model(self) -> bool:
        """Return whether the scorer asks a language model."""
        return bool(self._engines)

    @property
    def rows_at_once(self) -> int:
        """Return how many rows are scored together."""
        return rows_at_once(self._engines)

    @property
    def _engines(self) -> Sequence[LLMEngine]:
        return self._scorer.engines() if isinstance(self._scorer, PayingScorer) else ()

    def _finish_scoring(self) -> None:
        if isinstance(self._scorer, ReportingScorer):
            with named(self._name):
                self._scorer.finish()

    def _scoring_figures(self) -> dict[str, Any]:
        figures = dict(self._scorer.figures()) if isinstance(self._scorer, ReportingScorer) else {}
        return {"scoring": figures} if figures else {}

    def _of_driver(self) -> Any:
        """Return the driver's environment, and the journals and limits that it keeps."""
        from mergeit_ops.distributed.asking import refuse_batches
        from mergeit_ops.distributed.blocks import Resources
        from mergeit_ops.distributed.environment import DriverEnvironment
        from mergeit_ops.distributed.journal import keep_journals
        from mergeit_ops.distributed.ledger import kept_with
        from mergeit_ops.distributed.shared_limits import share_limits

        refuse_batches(self._name, self._engines)
        places = sum(engine.settings.max_concurrency for engine in self._engines if engine.asks_a_server)
        if places:
            logger.info(
                f"{self._name}: its scorer runs in up to {many(Resources.of(self).at_once(), 'task')} at a time. The "
                f"server sees up to {many(places, 'request')} at once, from all tasks together (max_concurrency in "
                "scorer_params)."
            )
        # Of partitions, each has a copy of the operator.
        assert self._ledger is not None
        limits = kept_with(self._ledger, lambda: share_limits(self._engines, run_of(self.work_dir)))
        return DriverEnvironment(), keep_journals(), limits

    def _score_block(self, block: pa.Table) -> pa.Table:
        if self._driver is None:
            return super()._score_block(block)
        from mergeit_ops.distributed.shared_limits import stopping_together

        self._enter_worker()
        # Ray Data ends all tasks when one has failed.
        with stopping_together(self._driver[2], self._engines):
            return super()._score_block(block)

    def _report_costs(self) -> None:
        from mergeit_ops.distributed.ledger import report

        if scoring := self._scoring_figures():
            report(self._ledger, f"process {platform.node()} {os.getpid()}", scoring)

    def _enter_worker(self) -> None:
        from mergeit_ops.distributed.journal import use_kept_journals
        from mergeit_ops.distributed.shared_limits import use_shared_limits

        if self._ledger is not None:
            # Each task has its own copy of the operator, so the process keeps the scorer with its model and answers.
            self._scorer = worker.scorers.get(self._ledger, lambda: self._scorer)
        if self._driver is not None:
            environment, journals, limits = self._driver
            environment.apply()
            use_kept_journals(journals)
            use_shared_limits(limits, self._engines)
        for engine in self._engines:
            engine.alone = False
