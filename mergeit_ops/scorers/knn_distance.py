"""How far each row is from its neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from mergeit_ops.constraints import Number, check
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.knn_distance import knn_distances
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.core.selection.method import Pool
from mergeit_ops.scorers.pool import check_pairwise

__all__ = ["KnnDistance"]


class KnnDistance:
    """The Euclidean distance from each row to its k-th nearest other row, by their embeddings: InstructMining's KNN-i.

    High values are outliers. Every row is compared with every other, so there may be at most 200,000 rows. These take
    about ten minutes on two cores.

    :param k: which neighbour, at least 1; the paper uses 6. If there are fewer other rows, there is no score
        (`no_neighbour`).
    :raises RecipeError: if a parameter cannot work.
    """

    measures: ClassVar[Mapping[str, str]] = {"knn_distance": "knn_distance"}

    def __init__(self, *, k: int = 6) -> None:
        check({"k": Number(low=1, integer=True)}, {"k": k}, "knn_distance")
        self.k = int(k)

    def identity(self) -> Mapping[str, Any]:
        """See `PoolScorer`."""
        return {"k": self.k}

    def prepare(self, pool: Pool) -> Sequence[float | None]:
        """See `PoolScorer`: the distances."""
        rows = len(pool.vectors)
        check_pairwise("knn_distance", rows)
        return [None] * rows if rows <= self.k else list(map(float, knn_distances(pool.vectors, self.k)))

    def score(self, samples: Sequence[Sample], known: Sequence[float | None]) -> list[tuple[Score, ...]]:
        """See `PoolScorer`."""
        return [(Score.missing("no_neighbour") if value is None else Score(value),) for value in known]
