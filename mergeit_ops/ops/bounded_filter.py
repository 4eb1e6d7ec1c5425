"""Base class of filters that keep the samples whose score is within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

import pyarrow as pa
from loguru import logger

from mergeit_ops.constraints import Constraint, Number, OneOf
from mergeit_ops.core.columns import STATS
from mergeit_ops.core.gate.comparison import Bounds
from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.dataset.tables import python_rows
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.stats_filter import StatsFilter

__all__ = ["BOUND_CONSTRAINTS", "NOT_SCORED", "BoundedFilter"]

NOT_SCORED = "not_scored"

BOUND_CONSTRAINTS: Mapping[str, Constraint] = {
    "min_score": Number(optional=True),
    "max_score": Number(optional=True),
    "on_missing_score": OneOf(("keep", "drop", "raise")),
}


class BoundedFilter(StatsFilter):
    """Base class of filters by one number. A subclass provides the job, and the stat that the bounds apply to."""

    def __init__(
        self,
        *args: Any,
        min_score: Optional[float] = None,
        max_score: Optional[float] = None,
        on_missing_score: str = "keep",
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param min_score: lowest score that a sample may have; null: no bound. Data-Juicer's `min_closed_interval:
            false` excludes the bound itself.
        :param max_score: highest score that a sample may have; null: no bound. Data-Juicer's `max_closed_interval:
            false` excludes the bound itself.
        :param on_missing_score: what happens to a sample without a score: `keep` keeps it, `drop` drops it, `raise`
            stops the run. A failed scoring is not a low score, so the bounds do not apply to it.
        :param args: see `SampleOperator`.
        :param kwargs: see `SampleOperator`.
        :raises RecipeError: if `min_score` is above `max_score`.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        self.bounds = Bounds(min_score, max_score)
        self.on_missing_score = on_missing_score
        if min_score is not None and max_score is not None and min_score > max_score:
            raise RecipeError(f"{self._name}: min_score {min_score:g} is above max_score {max_score:g}.")

    @property
    def stat(self) -> str:
        """Return the key of the stat that the bounds apply to."""
        raise NotImplementedError

    @property
    def status(self) -> str:
        """Return the key of the stat's status."""
        raise NotImplementedError

    @property
    def is_bounded(self) -> bool:
        """Return whether a sample may be dropped because of its score."""
        return self.bounds != Bounds()

    @classmethod
    def role_in(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """See `SampleOperator`."""
        bounded = any(parameters.get(name) is not None for name in ("min_score", "max_score"))
        may_drop = bounded or parameters.get("on_missing_score") == "drop"
        return super().role_in(parameters) | {"may_drop": may_drop}

    def process_single(self, sample: Any) -> bool:
        """Return whether the stats of a sample let it stay."""
        stats = sample[STATS] or {}
        score = stats.get(self.stat)
        if score is not None:
            return not self.is_bounded or bool(self.get_keep_boolean(score, self.bounds.low, self.bounds.high))
        return self.on_missing_score != "drop" or stats.get(self.status, NOT_SCORED) == NOT_SCORED

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

    def _warn(self, figures: dict[str, Any]) -> None:
        unscored = figures.get("unscored")
        reasons = unscored if isinstance(unscored, Mapping) else {}
        count = sum(reasons.values()) if reasons else unscored or 0
        if count:
            said = ", ".join(f"{reason} {number:,}" for reason, number in reasons.items())
            done = "dropped" if self.on_missing_score == "drop" else "kept"
            # The gate counts merges too, which it rejects without a score.
            told = f" and {agree(count, 'is', 'are')} {done}: {said}" if said else f"; {self.status} says why"
            logger.warning(f"{self._name}: {many(count, 'sample')} {agree(count, 'has', 'have')} no score{told}.")
