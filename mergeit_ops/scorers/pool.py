"""Scorers of a row among all others: one file each, behind one Protocol, looked up by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.core.selection.method import Need, Pool

__all__ = ["POOL_SCORERS", "PoolScorer"]

POOL_SCORERS: Mapping[str, str] = {
    "knn_distance": "mergeit_ops.scorers.knn_distance:KnnDistance",
    "row_variance": "mergeit_ops.scorers.row_variance:RowVariance",
}
"""Name in a recipe to `module:Class`; a new scorer is one file and one line here."""


class PoolScorer(Protocol):
    """Scores each row by what the whole set is. An instance is small: it is sent to the workers of a cluster."""

    needs: ClassVar[frozenset[Need]]
    """What must be filled in the pool."""

    measures: Mapping[str, str]
    """Name of each measure to the key of its stat."""

    def identity(self) -> Mapping[str, Any]:
        """Return all that changes a score apart from the rows: models, parameters; plain data."""
        ...

    def prepare(self, pool: Pool) -> Sequence[Any]:
        """Return what the score of each row needs to know of the others; called once, with all rows.

        :param pool: n rows, n >= 1.
        :return: n values that can be pickled.
        :raises ScorerError: if there are more rows than the scorer is meant for.
        """
        ...

    def score(self, samples: Sequence[Sample], known: Sequence[Any]) -> list[tuple[Score, ...]]:
        """Score some of the rows.

        :param samples: m of them.
        :param known: what `prepare` returned for them.
        :return: m tuples with a score for each of `measures`.
        """
        ...
