"""The worth of a choice of rows: how well it covers all rows and a target, and how good the chosen rows are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Coverage", "Similarity"]

Similarity = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Coverage:
    """n rows that may be chosen, and n + m points to cover: the rows, followed by the target.

    The worth of a choice S is the sum over all points p of weight(p) * max over chosen j of max(similarity(p, j), 0),
    plus the bonus of each chosen row. It is monotone and submodular if the bonuses are at least 0.

    :param vectors: (n, d) float32 of unit norm.
    :param similarity: kernel of two sets of vectors.
    :param row_weight: weight of each row as a point.
    :param bonus: (n,) float64, at least 0: what a row adds when it is chosen; None: nothing.
    :param targets: (m, d) float32 of unit norm: points that cannot be chosen; None: there are none.
    :param target_weight: weight of each target.
    """

    vectors: NDArray[np.float32]
    similarity: Similarity
    row_weight: float = 1.0
    bonus: NDArray[np.float64] | None = None
    targets: NDArray[np.float32] | None = None
    target_weight: float = 1.0

    @property
    def points(self) -> int:
        """Return n + m."""
        return len(self.vectors) + (0 if self.targets is None else len(self.targets))

    def rows_among(self, points: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the points, among those given, that may be chosen.

        :param points: ascending.
        """
        return points if self.targets is None else points[: int(np.searchsorted(points, len(self.vectors)))]

    def at(self, points: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of points.

        :param points: ascending.
        """
        rows = self.rows_among(points)
        if self.targets is None or len(rows) == len(points):
            return self.vectors if len(points) == len(self.vectors) else self.vectors[points]
        return np.concatenate([self.vectors[rows], self.targets[points[len(rows) :] - len(self.vectors)]])

    def weights(self, points: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Return the weights of points; None: all are 1."""
        if self.targets is None and self.row_weight == 1:
            return None
        return np.where(points < len(self.vectors), self.row_weight, self.target_weight).astype(np.float32)

    def bonus_of(self, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Return the bonus of rows; None: there is none."""
        return None if self.bonus is None else self.bonus[rows]

    def kernel(self, rows: NDArray[np.int64], points: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the weighted similarity of rows to points.

        :param rows: k positions of rows.
        :param points: l positions, ascending.
        :return: (k, l) float32.
        """
        own = self.at(points)
        kernel = self.similarity(own if rows is points else self.vectors[rows], own)
        weights = self.weights(points)
        return kernel if weights is None else kernel * weights

    def kernel_of_points(self, points: NDArray[np.int64], rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the weighted similarity of points to rows.

        :param points: l positions, ascending.
        :param rows: (k, d) vectors of rows.
        :return: (l, k) float32.
        """
        kernel = self.similarity(self.at(points), rows)
        weights = self.weights(points)
        return kernel if weights is None else kernel * weights[:, None]

    def whole_kernel(self) -> NDArray[np.float32]:
        """Return the weighted similarity of all rows to all points, (n, n + m) float32."""
        kernel = self.similarity(self.vectors, self.vectors)
        if self.row_weight != 1:
            kernel *= np.float32(self.row_weight)
        if self.targets is None:
            return kernel
        return np.hstack([kernel, self.similarity(self.vectors, self.targets) * np.float32(self.target_weight)])

    def judged_by(self, size: int, seed: int) -> tuple[NDArray[np.int64], Coverage, float]:
        """Return points that represent all points: a sample of the rows and a sample of the target.

        :param size: most rows, and most targets, to draw.
        :param seed: seed of the draw.
        :return: the points, ascending; a coverage of the same rows with the weights in proportion; and the factor from
            its worth to the worth over all points.
        """
        n = len(self.vectors)
        drawn = _sample(n, size, seed)
        factor = n / len(drawn)
        bonus = None if self.bonus is None else self.bonus / factor
        if self.targets is None:
            return drawn, self._weighing(self.target_weight, bonus), factor
        targets = _sample(len(self.targets), size, seed)
        weight = self.target_weight * len(self.targets) / len(targets) / factor
        return np.concatenate([drawn, n + targets]), self._weighing(weight, bonus), factor

    def _weighing(self, target_weight: float, bonus: NDArray[np.float64] | None) -> Coverage:
        return Coverage(self.vectors, self.similarity, self.row_weight, bonus, self.targets, target_weight)

    def worth(self, chosen: NDArray[np.int64], block: int = 2_048) -> float:
        """Return the worth of a choice.

        :param chosen: positions of the chosen rows.
        :param block: points that are computed together.
        """
        if len(chosen) == 0:
            return 0.0
        best = [
            np.maximum(self.kernel(chosen, np.arange(start, min(start + block, self.points))).max(axis=0), 0)
            for start in range(0, self.points, block)
        ]
        covered = float(np.concatenate(best).sum(dtype=np.float64))
        return covered if self.bonus is None else covered + float(self.bonus[chosen].sum())


def _sample(n: int, size: int, seed: int) -> NDArray[np.int64]:
    return np.arange(n) if n <= size else np.sort(np.random.default_rng(seed).choice(n, size, replace=False))
