"""Base class of filters that score flat samples and keep those within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from data_juicer.ops.base_op import Filter
from datasets import Dataset

from mergeit_ops.core.columns import STATS
from mergeit_ops.dataset.tables import iter_tables, python_rows
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops.first_look import ExportCheck, recipe_of
from mergeit_ops.ops.sample_operator import SampleOperator

_LEDGER, _DRIVER = "mergeit_ledger", "mergeit_driver"


class ScoreFilter(SampleOperator, Filter):
    """Base class of filters by score, with the bounds and Arrow batches for Data-Juicer's Ray executor.

    An operator declares `min_score` and `max_score`.

    :param args: see `SampleOperator`.
    :param kwargs: see `SampleOperator`.
    :raises RecipeError: if `min_score` is above `max_score`.
    """

    _batched_op = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # On Ray, an actor is built from an operator's parameters; these two are added, see below.
        self._ledger: str | None = kwargs.get(_LEDGER)
        self._driver: Any = kwargs.get(_DRIVER)
        super().__init__(*args, **kwargs)
        self.min_score: float | None = self.parameters["min_score"]
        self.max_score: float | None = self.parameters["max_score"]
        if self.min_score is not None and self.max_score is not None and self.min_score > self.max_score:
            raise RecipeError(f"{self._name}: min_score {self.min_score:g} is above max_score {self.max_score:g}.")
        # On Ray, Data-Juicer calls this attribute with Arrow batches, which keep their types if they stay Arrow.
        self._compute_stats_of_dict: Any = self.compute_stats  # type: ignore[has-type]
        self.compute_stats = self._compute_stats_of_batch
        self._check_export: ExportCheck | None = None

    @property
    def is_bounded(self) -> bool:
        """Return whether any sample may be dropped because of its score."""
        return self.min_score is not None or self.max_score is not None

    @classmethod
    def role_in(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """See `SampleOperator`."""
        bounded = any(parameters.get(name) is not None for name in ("min_score", "max_score"))
        return super().role_in(parameters) | {"may_drop": bounded}

    def of_driver(self) -> Any:
        """Return the data that a Ray task needs from the driver; kept as `_driver`."""
        from mergeit_ops.distributed.environment import DriverEnvironment

        return DriverEnvironment()

    def score_block(self, block: pa.Table) -> pa.Table:
        """Score a batch of rows on Ray.

        :param block: flat rows.
        :return: flat rows with their stats.
        """
        raise NotImplementedError

    def process_single(self, sample: Any) -> bool:
        """Return whether a sample stays, from its stats."""
        raise NotImplementedError

    def process_batched(self, samples: Any) -> list[bool]:
        """Return which samples of a batch stay."""
        return [self.process_single({STATS: stats}) for stats in samples[STATS]]

    def rows_that_stay(self, scored: Dataset, tracer: Any) -> list[bool]:
        """Return which samples of a scored dataset stay.

        :param scored: flat samples with stats.
        :param tracer: Data-Juicer's tracer, which records the samples that are dropped; None: no tracing.
        """
        if not self.is_bounded:
            return [True] * len(scored)
        stays = []
        traced = tracer is not None and tracer.should_trace_op(self._name)
        for table in iter_tables(scored):
            for row in python_rows(table) if traced else python_rows(table.select([STATS])):
                stays.append(self.process_single(row))
                if traced and not stays[-1]:
                    tracer.collect_filter_sample(self._name, row, False)
        return stays

    def _prepare_for_ray_map_batches(self) -> bool:
        """Called by Data-Juicer on the driver before batches are mapped on Ray."""
        from mergeit_ops.distributed.lazy_arrival import check_lazy_arrival
        from mergeit_ops.distributed.ledger import open_ledger

        check_lazy_arrival(self)
        recipe = recipe_of(self)
        if recipe is not None:
            self._check_export = ExportCheck.of(self, recipe)
        self._ledger = open_ledger(self)
        self._driver = self.of_driver()
        given: dict[str, Any] = self._init_kwargs  # type: ignore[has-type]
        self._init_kwargs = given | {_LEDGER: self._ledger, _DRIVER: self._driver}
        # The operator itself or an actor built from its parameters may run a task.
        return False

    def _compute_stats_of_batch(self, samples: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(samples, pa.Table):
            return self._compute_stats_of_dict(samples)
        if self._check_export is not None:
            self._check_export(samples.schema)
        return self.score_block(samples)
