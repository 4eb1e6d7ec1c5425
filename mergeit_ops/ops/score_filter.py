"""Base class of filters that score flat samples and keep those within bounds."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Optional

import numpy as np
import pyarrow as pa
from data_juicer.ops.base_op import Filter
from datasets import Dataset
from loguru import logger
from tqdm import tqdm

from mergeit_ops.constraints import FLAG, MAPPING, TEXT, Constraint, Number, OneOf
from mergeit_ops.core.columns import BATCH_META, STATS
from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.gate.comparison import Bounds
from mergeit_ops.dataset.manifest import added_up, log_summary
from mergeit_ops.dataset.tables import READ_ROWS, iter_tables, python_rows, write_dataset
from mergeit_ops.dataset.topics import is_grouped
from mergeit_ops.distributed import in_ray_worker
from mergeit_ops.errors import DatasetError, RecipeError, named
from mergeit_ops.jobs.scoring import Scored, ScoringJob
from mergeit_ops.ops.first_look import ExportCheck, recipe_of
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.sample_operator import SampleOperator
from mergeit_ops.scorers import PayingScorer, ReportingScorer, build_scorer
from mergeit_ops.worker import worker

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine

__all__ = ["SCORE_FILTER_CONSTRAINTS", "ScoreFilter"]

_LEDGER, _DRIVER = "mergeit_ledger", "mergeit_driver"
NOT_SCORED = "not_scored"

SCORE_FILTER_CONSTRAINTS: Mapping[str, Constraint] = {
    "scorer": TEXT,
    "scorer_params": MAPPING,
    "min_score": Number(optional=True),
    "max_score": Number(optional=True),
    "on_missing_score": OneOf(("keep", "drop", "raise")),
    "score_all": FLAG,
}


class ScoreFilter(SampleOperator, Filter):
    """Base class of filters by score. A filter says what its job is, and which stat the bounds apply to."""

    _batched_op = True

    drops_others_stats: ClassVar[bool] = False
    """Whether rows that come from the merger lose, on Ray, the stats that filters since then have noted."""

    def __init__(
        self,
        *args: Any,
        scorer: str = "distilled",
        scorer_params: Optional[dict[str, Any]] = None,
        min_score: Optional[float] = None,
        max_score: Optional[float] = None,
        on_missing_score: str = "keep",
        score_all: bool = False,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param scorer: `distilled`: a small regressor to the Deita quality score, on the CPU; `deita`: the published
            Deita scorer itself, a local Hugging Face model of 7B parameters; `deita_api`: the same behind an
            OpenAI-compatible server; `llm_judge`: a language model with a rubric; `cascade`: a cheap scorer, and a
            judge for close calls; `response_loss`: IFD by a causal language model, or perplexity
            (`sample_score_filter` only); `reward_model`: a sequence classifier trained on preferences
            (`sample_score_filter` only); or the import path `package.module:Class` of a scorer of one's own.
        :param scorer_params: keyword arguments of the scorer. A key never stands here: it comes from the environment
            variable OPENAI_API_KEY.
        :param min_score: lowest score that a sample may have; null: no such filter. Data-Juicer's
            `min_closed_interval: false` excludes the bound itself.
        :param max_score: highest score that a sample may have; null: no such filter. Data-Juicer's
            `max_closed_interval: false` excludes the bound itself.
        :param on_missing_score: what happens to a sample that the scorer gives no score: `keep` keeps it, `drop` drops
            it, `raise` stops the run. A failed scoring is not a low score, so no bound applies to it.
        :param score_all: whether samples that were never paired are scored too. `sample_score_filter` scores all
            samples anyway; there it allows a scorer that asks a server to do so without bounds.
        :param args: see `SampleOperator`.
        :param kwargs: see `SampleOperator`.
        :raises RecipeError: if `min_score` is above `max_score`, or the scorer does not take its parameters.
        :raises ScorerError: if the scorer cannot be built.
        :raises LLMError: if the scorer asks a server that it cannot reach with these settings.
        """
        declare(self, locals())
        # On Ray, an actor is built from an operator's parameters; these two are added, see below.
        self._ledger: str | None = kwargs.get(_LEDGER)
        self._driver: Any = kwargs.get(_DRIVER)
        super().__init__(*args, **kwargs)
        self.bounds = Bounds(min_score, max_score)
        self.on_missing_score = on_missing_score
        self.score_all = score_all
        if min_score is not None and max_score is not None and min_score > max_score:
            raise RecipeError(f"{self._name}: min_score {min_score:g} is above max_score {max_score:g}.")
        with named(self._name):
            # Without `accelerator`, a scorer's own choice of device holds: large models take a GPU where there is one.
            accelerator = kwargs.get("accelerator")
            asked = {} if accelerator is None else {"device": self.device, "accelerator": accelerator}
            self._scorer = build_scorer(scorer, scorer_params, **asked)
            # The driver has checked this; a Ray worker that builds the operator again may not be able to.
            if not in_ray_worker():
                for engine in self._engines:
                    engine.check()
        # On Ray, Data-Juicer calls this attribute with Arrow batches, which keep their types if they stay Arrow.
        self._compute_stats_of_dict: Any = self.compute_stats  # type: ignore[has-type]
        self.compute_stats = self._compute_stats_of_batch
        self._check_export: ExportCheck | None = None

    @property
    def stat(self) -> str:
        """Return the key of the stat that the bounds apply to."""
        raise NotImplementedError

    @property
    def status(self) -> str:
        """Return the key of its status."""
        raise NotImplementedError

    def job(self, layout: SampleFormat, only_look: bool = False) -> ScoringJob:
        """Return what scores a table.

        :param layout: layout of its samples.
        :param only_look: whether the stats are only looked at, by `dj-analyze`.
        """
        raise NotImplementedError

    @property
    def is_bounded(self) -> bool:
        """Return whether a sample may be dropped because of its score."""
        return self.bounds != Bounds()

    @property
    def asks_a_server(self) -> bool:
        """Return whether scores cost money: the scorer sends requests to a server."""
        return any(engine.asks_a_server for engine in self._engines)

    @classmethod
    def role_in(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """See `SampleOperator`."""
        bounded = any(parameters.get(name) is not None for name in ("min_score", "max_score"))
        may_drop = bounded or parameters.get("on_missing_score") == "drop"
        return super().role_in(parameters) | {"may_drop": may_drop}

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None, reduce: bool = True) -> Dataset:
        """Score and filter.

        :param dataset: flat samples.
        :param exporter: Data-Juicer's exporter, for `stats_export_path`.
        :param tracer: Data-Juicer's tracer: samples that are dropped are traced.
        :param reduce: whether to filter; `dj-analyze` only looks at the stats, and a server is not asked for it.
        :return: flat samples with their stats.
        :raises DatasetError: if a column is missing, the rows are topics, or a sample has no score and
            `on_missing_score` is `raise`.
        :raises LLMError: if the scorer's language model had to stop, or cannot be loaded.
        :raises ScorerError: if the scorer fails or breaks its contract.
        """
        only_look = self.process is None  # how Data-Juicer's analyzer says that it wants stats and no filtering
        if only_look and (is_grouped(dataset.features) or self.asks_a_server):
            if self.asks_a_server:
                logger.info(f"{self._name}: dj-analyze does not ask its server, which would cost money: no scores.")
            return dataset
        self.check_flat(is_grouped(dataset.features))
        if not only_look:
            self.check_arrival(len(dataset))
        job = self.job(self.layout_of(dataset.column_names), only_look)
        filters = reduce and not only_look
        tracing = tracer if filters and tracer is not None and tracer.should_trace_op(self._name) else None
        figures: list[dict[str, Any]] = []
        stays: list[bool] = []

        def tables() -> Iterator[pa.Table]:
            for table in _with_progress(job.tables(iter_tables(dataset)), len(dataset), self._name):
                scored = job.run(table)
                part = self._stay(scored.table) if filters else [True] * scored.table.num_rows
                if tracing is not None:
                    self._trace(scored.table, part, tracing)
                stays.extend(part)
                figures.append({"figures": scored.figures, "details": scored.details(part)})
                yield scored.table

        with self.recorded() as manifest:
            try:
                scored = write_dataset(tables(), job.features(dataset.features))
                self._finish_scoring()
                if exporter is not None and self.stats_export_path is not None:
                    exporter.export_compute_stats(scored, self.stats_export_path)
                filtered = scored if all(stays) else scored.select(np.flatnonzero(stays))
                total = added_up(figures)
                manifest.figures |= {"rows_in": len(dataset), "rows_out": len(filtered), **total.get("figures", {})}
                manifest.figures |= {"filtered_out": len(scored) - len(filtered)}
                manifest.details |= total.get("details", {})
            finally:
                # Also if the run had to stop, so that its cost is recorded.
                manifest.figures |= self._scoring_figures()
        self._warn_of_unscored(manifest.figures.get("unscored"))
        log_summary(self.work_dir)
        return filtered

    def compute_stats_batched(self, samples: Any, *args: Any, **kwargs: Any) -> Any:
        """Score one batch, in Data-Juicer's form of a dict of lists."""
        return self.run(Dataset.from_dict(dict(samples)), reduce=False).to_dict()

    def process_single(self, sample: Any) -> bool:
        """Return whether a sample stays, from its stats."""
        stats = sample[STATS] or {}
        score = stats.get(self.stat)
        if score is not None:
            return not self.is_bounded or bool(self.get_keep_boolean(score, self.bounds.low, self.bounds.high))
        return self.on_missing_score != "drop" or stats.get(self.status, NOT_SCORED) == NOT_SCORED

    def process_batched(self, samples: Any) -> list[bool]:
        """Return which samples of a batch stay."""
        return [self.process_single({STATS: stats}) for stats in samples[STATS]]

    def _stay(self, scored: pa.Table) -> list[bool]:
        rows = python_rows(scored.select([STATS]))
        if self.on_missing_score == "raise":
            reasons = (row[STATS].get(self.status, NOT_SCORED) for row in rows if row[STATS].get(self.stat) is None)
            reason = next((reason for reason in reasons if reason != NOT_SCORED), None)
            if reason is not None:
                raise DatasetError(
                    f"{self._name}: a sample has no score ({reason}), and on_missing_score is raise; set it to keep or "
                    "drop, or remove such samples before this operator."
                )
        return [self.process_single(row) for row in rows]

    def _trace(self, scored: pa.Table, stays: Sequence[bool], tracer: Any) -> None:
        dropped = np.flatnonzero(~np.array(stays, dtype=bool))
        for row in python_rows(scored.take(pa.array(dropped, pa.int64()))):
            tracer.collect_filter_sample(self._name, row, False)

    def _warn_of_unscored(self, unscored: Any) -> None:
        reasons = unscored if isinstance(unscored, Mapping) else {}
        count = sum(reasons.values()) if reasons else unscored or 0
        if count:
            said = ", ".join(f"{reason} {number:,}" for reason, number in reasons.items())
            done = "dropped" if self.on_missing_score == "drop" else "kept"
            # The gate counts merges too, which it rejects without a score.
            told = f" and are {done}: {said}" if said else f"; {self.status} says why"
            logger.warning(f"{self._name}: {count:,} samples have no score{told}.")

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

    def _prepare_for_ray_map_batches(self) -> bool:
        """Called by Data-Juicer on the driver before batches are mapped on Ray."""
        from mergeit_ops.distributed.lazy_arrival import check_lazy_arrival
        from mergeit_ops.distributed.ledger import open_ledger

        check_lazy_arrival(self)
        recipe = recipe_of(self)
        if recipe is not None:
            self._check_export = ExportCheck.of(self, recipe)
        self._ledger = open_ledger(self)
        self._driver = self._of_driver()
        given: dict[str, Any] = self._init_kwargs  # type: ignore[has-type]
        self._init_kwargs = given | {_LEDGER: self._ledger, _DRIVER: self._driver}
        # The operator itself or an actor built from its parameters may run a task.
        return False

    def _of_driver(self) -> Any:
        """Return the driver's environment, and the journals and token budgets that it keeps."""
        from mergeit_ops.distributed.blocks import Resources
        from mergeit_ops.distributed.budget import share_budgets
        from mergeit_ops.distributed.environment import DriverEnvironment
        from mergeit_ops.distributed.journal import keep_journals

        places = sum(engine.settings.max_concurrency for engine in self._engines if engine.asks_a_server)
        if places:
            tasks = Resources.of(self).at_once()
            logger.info(
                f"{self._name}: its scorer runs in up to {tasks} tasks at a time, each with up to {places} requests in "
                f"flight: the server sees up to {tasks * places}. To lower this number, set num_proc of the operator "
                "(tasks at a time) or max_concurrency in scorer_params (requests of each task)."
            )
        return DriverEnvironment(), keep_journals(), share_budgets(self._engines)

    def _compute_stats_of_batch(self, samples: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(samples, pa.Table):
            return self._compute_stats_of_dict(samples)
        from mergeit_ops.distributed.ledger import stops_reported

        if self._check_export is not None:
            self._check_export(samples.schema)
        with stops_reported(self._ledger):
            return self._score_block(samples)

    def _score_block(self, block: pa.Table) -> pa.Table:
        """Score a batch of rows on Ray, where rows have no order to go back to."""
        from mergeit_ops.distributed.columns import with_json, with_structs, without_others_stats
        from mergeit_ops.distributed.ledger import batch_name, report

        self.check_flat(grouped=BATCH_META in block.column_names)
        self._enter_worker()
        table = with_json(block)
        if self.drops_others_stats:
            table = without_others_stats(table)
        job = self.job(self.layout_of(table.column_names))
        try:
            scored: Scored = job.run(table)
        finally:
            # Also if the run had to stop, so that its cost is recorded.
            if scoring := self._scoring_figures():
                report(self._ledger, f"process {platform.node()} {os.getpid()}", scoring)
        stays = self._stay(scored.table)
        figures = {"rows_in": table.num_rows, "rows_out": sum(stays), "filtered_out": stays.count(False)}
        report(self._ledger, batch_name(table), {**figures, **scored.figures}, scored.details(stays))
        return with_structs(scored.table, table.schema, job.types)

    def _enter_worker(self) -> None:
        from mergeit_ops.distributed.budget import spend_from
        from mergeit_ops.distributed.journal import use_kept_journals

        if self._ledger is not None:
            # Each task has its own operator, so the process keeps the scorer with its model and answers.
            self._scorer = worker.scorers.get(self._ledger, lambda: self._scorer)
        if self._driver is not None:
            environment, journals, budgets = self._driver
            environment.apply()
            use_kept_journals(journals)
            spend_from(budgets, self._engines)
        for engine in self._engines:
            engine.alone = False


def _with_progress(parts: Iterator[pa.Table], rows: int, name: str) -> Iterator[pa.Table]:
    """Yield parts under a progress bar that counts their rows, as Data-Juicer's own operators show one."""
    with tqdm(total=rows, desc=name, unit=" examples", disable=rows <= READ_ROWS) as bar:
        for part in parts:
            yield part
            bar.update(part.num_rows)
