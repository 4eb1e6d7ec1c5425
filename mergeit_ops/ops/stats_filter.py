"""Base class of filters that write stats of flat samples and use them to decide which samples stay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from data_juicer.ops.base_op import Filter
from datasets import Dataset
from loguru import logger

from mergeit_ops.core.columns import BATCH_META, STATS
from mergeit_ops.dataset.manifest import added_up, log_summary
from mergeit_ops.dataset.tables import READ_ROWS, iter_tables, python_rows, write_dataset
from mergeit_ops.dataset.topics import is_grouped
from mergeit_ops.errors import RecipeError
from mergeit_ops.jobs.scoring import Scored, ScoringJob
from mergeit_ops.ops.first_look import ExportCheck, recipe_of
from mergeit_ops.ops.sample_operator import SampleOperator
from mergeit_ops.progress import progress_bar

__all__ = ["StatsFilter"]

_LEDGER, _DRIVER = "mergeit_ledger", "mergeit_driver"


class StatsFilter(SampleOperator, Filter):
    """Base class of filters by stats. A subclass provides the job, and decides which samples stay."""

    _batched_op = True

    drops_others_stats: ClassVar[bool] = False
    """Whether, on Ray, rows from the merger lose the stats that filters after the merger have written."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """
        Initialization method.

        :param args: see `SampleOperator`.
        :param kwargs: see `SampleOperator`.
        """
        # On Ray, an actor is built from the operator's parameters; `_prepare_for_ray_map_batches` adds these two.
        self._ledger: str | None = kwargs.get(_LEDGER)
        self._driver: Any = kwargs.get(_DRIVER)
        super().__init__(*args, **kwargs)
        # On Ray, Data-Juicer calls this attribute with Arrow batches. Types are kept only if the batches stay in Arrow.
        self._compute_stats_of_dict: Any = self.compute_stats  # type: ignore[has-type]
        self.compute_stats = self._compute_stats_of_batch
        self._check_export: ExportCheck | None = None

    def job_for(self, columns: Sequence[str], only_look: bool = False) -> ScoringJob:
        """Return the job that makes the stats of a table.

        :param columns: columns of the dataset.
        :param only_look: whether `dj-analyze` only looks at the stats.
        :raises DatasetError: if a column is missing.
        """
        raise NotImplementedError

    def process_single(self, sample: Any) -> bool:
        """Return whether the stats of a sample let it stay."""
        raise NotImplementedError

    @property
    def asks_a_server(self) -> bool:
        """Return whether the stats cost money because a server is asked for them."""
        return False

    @property
    def rows_at_once(self) -> int:
        """Return how many rows are read at a time."""
        return READ_ROWS

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None, reduce: bool = True) -> Dataset:
        """Make stats and filter.

        :param dataset: flat samples.
        :param exporter: Data-Juicer's exporter, for `stats_export_path`.
        :param tracer: Data-Juicer's tracer, which gets the dropped samples.
        :param reduce: whether to filter. `dj-analyze` only looks at the stats and sets it to false; no server is asked
            then.
        :return: flat samples with their stats.
        :raises DatasetError: if a column is missing, the rows are topics, or a sample has no score and
            `on_missing_score` is `raise`.
        :raises LLMError: if the scorer's language model had to stop, or cannot be loaded.
        :raises ScorerError: if the scorer fails or breaks its contract.
        """
        only_look = self.process is None  # set by Data-Juicer's analyzer, which wants stats and no filtering
        if only_look and (is_grouped(dataset.features) or self.asks_a_server):
            if self.asks_a_server:
                logger.info(f"{self._name}: no scores: dj-analyze does not ask the server, which would cost money.")
            return dataset
        self.check_flat(is_grouped(dataset.features))
        if not only_look:
            self.check_arrival(len(dataset))
        job = self.job_for(dataset.column_names, only_look)
        filters = reduce and not only_look
        tracing = tracer if filters and tracer is not None and tracer.should_trace_op(self._name) else None
        figures: list[dict[str, Any]] = []
        stays: list[bool] = []

        def tables() -> Iterator[pa.Table]:
            for table in _with_progress(
                job.tables(iter_tables(dataset, rows=self.rows_at_once)), len(dataset), self._name
            ):
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
        self._warn(manifest.figures)
        log_summary(self.work_dir)
        return filtered

    def compute_stats_batched(self, samples: Any, *args: Any, **kwargs: Any) -> Any:
        """Make the stats of one batch, in Data-Juicer's form of a dict of lists."""
        return self.run(Dataset.from_dict(dict(samples)), reduce=False).to_dict()

    def process_batched(self, samples: Any) -> list[bool]:
        """Return which samples of a batch stay."""
        return [self.process_single({STATS: stats}) for stats in samples[STATS]]

    def _stay(self, scored: pa.Table) -> list[bool]:
        """Return which rows stay."""
        return [self.process_single(row) for row in python_rows(scored.select([STATS]))]

    def _trace(self, scored: pa.Table, stays: Sequence[bool], tracer: Any) -> None:
        dropped = np.flatnonzero(~np.array(stays, dtype=bool))
        for row in python_rows(scored.take(pa.array(dropped, pa.int64()))):
            tracer.collect_filter_sample(self._name, row, False)

    def _warn(self, figures: dict[str, Any]) -> None:
        """Warn of what the figures of a run show."""

    def _finish_scoring(self) -> None:
        """Finish the work after the last row."""

    def _scoring_figures(self) -> dict[str, Any]:
        """Return what the work has cost so far, for the record."""
        return {}

    def _prepare_for_ray_map_batches(self) -> bool:
        """Called by Data-Juicer on the driver before batches are mapped on Ray."""
        from mergeit_ops.distributed.lazy_arrival import check_lazy_arrival
        from mergeit_ops.distributed.ledger import open_ledger

        if self.stats_export_path is not None:
            raise RecipeError(
                f"{self._name}: stats_export_path does not work on Ray, because Data-Juicer would compute all scores a "
                "second time for it. Remove it: on Ray, the stats stay in the export."
            )
        check_lazy_arrival(self)
        recipe = recipe_of(self)
        if recipe is not None:
            self._check_export = ExportCheck.of(self, recipe)
        self._ledger = open_ledger(self)
        self._driver = self._of_driver()
        given: dict[str, Any] = self._init_kwargs  # type: ignore[has-type]
        self._init_kwargs = given | {_LEDGER: self._ledger, _DRIVER: self._driver}
        # A task runs the operator itself or an actor built from its parameters.
        return False

    def _of_driver(self) -> Any:
        """Return what the tasks need from the driver."""
        from mergeit_ops.distributed.environment import DriverEnvironment

        return DriverEnvironment()

    def _compute_stats_of_batch(self, samples: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(samples, pa.Table):
            return self._compute_stats_of_dict(samples)
        from mergeit_ops.distributed.ledger import stops_reported

        if self._check_export is not None:
            self._check_export(samples.schema)
        with stops_reported(self._ledger):
            return self._score_block(samples)

    def _score_block(self, block: pa.Table) -> pa.Table:
        """Make the stats of a batch of rows on Ray, where rows have no order to restore."""
        from mergeit_ops.distributed.columns import with_json, with_structs, without_others_stats
        from mergeit_ops.distributed.ledger import batch_name, report

        self.check_flat(grouped=BATCH_META in block.column_names)
        self._enter_worker()
        table = with_json(block)
        if self.drops_others_stats:
            table = without_others_stats(table)
        job = self.job_for(table.column_names)
        try:
            scored: Scored = job.run(table)
        finally:
            # Also if the run had to stop, so that its cost is recorded.
            self._report_costs()
        stays = self._stay(scored.table)
        figures = {"rows_in": table.num_rows, "rows_out": sum(stays), "filtered_out": stays.count(False)}
        report(self._ledger, batch_name(table), {**figures, **scored.figures}, scored.details(stays))
        return with_structs(scored.table, table.schema, job.types)

    def _report_costs(self) -> None:
        """Tell the driver what the work of this process has cost so far."""

    def _enter_worker(self) -> None:
        """Prepare this process for a task."""
        if self._driver is not None:
            self._driver.apply()


def _with_progress(parts: Iterator[pa.Table], rows: int, name: str) -> Iterator[pa.Table]:
    """Yield parts under a progress bar that counts their rows."""
    with progress_bar(rows, name, "rows") as bar:
        for part in parts:
            yield part
            bar.update(part.num_rows)
