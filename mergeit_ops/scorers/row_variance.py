"""How widely each row spreads over the principal axes of all rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mergeit_ops.constraints import Constraint, Number, OneOf, check
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.row_variance import STATISTICS, PrincipalAxes, Statistic, row_statistic
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.core.selection.method import Pool

__all__ = ["RowVariance"]

_CONSTRAINTS: Mapping[str, Constraint] = {
    "statistic": OneOf(STATISTICS),
    "components": Number(low=1, integer=True, optional=True),
}


class RowVariance:
    """The spread of each row over the principal axes of all rows, by their embeddings: LIFT's measure of variety. LIFT
    keeps the rows above the 80th percentile.

    :param statistic: `variance` of a row's coordinates, as in LIFT's code. It depends on the arbitrary signs of the
        axes. They are fixed here, so other implementations keep slightly different rows. `mean_square` does not depend
        on the signs.
    :param components: number of axes, at least 1; None: the fewest that hold 95 % of the variance.
    :raises RecipeError: if a parameter cannot work.
    """

    measures: ClassVar[Mapping[str, str]] = {"row_variance": "row_variance"}

    def __init__(self, *, statistic: Statistic = "variance", components: int | None = None) -> None:
        check(_CONSTRAINTS, locals(), "row_variance")
        self.statistic: Statistic = statistic
        self.components = None if components is None else int(components)

    def identity(self) -> Mapping[str, Any]:
        """See `PoolScorer`."""
        return {"statistic": self.statistic, "components": self.components}

    def prepare(self, pool: Pool) -> Sequence[float]:
        """See `PoolScorer`: the spreads."""
        axes = PrincipalAxes.of(pool.vectors, self.components)
        parts = [row_statistic(block, self.statistic) for block in axes.coordinates(pool.vectors)]
        return list(map(float, np.concatenate(parts)))

    def score(self, samples: Sequence[Sample], known: Sequence[float]) -> list[tuple[Score, ...]]:
        """See `PoolScorer`."""
        return [(Score(value),) for value in known]
