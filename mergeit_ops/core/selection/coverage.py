"""The worth of a choice of rows: how well it covers all rows and a target, and how good the chosen rows are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

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
    :param row_weight: weight of each row as a point; with 0, the targets alone are covered.
    :param bonus: (n,) float64, at least 0: what a row adds when it is chosen; None: nothing.
    :param targets: (m, d) float32 of unit norm: points that cannot be chosen; None: there are none.
    :param target_weight: weight of each target, or (m,) weights.
    """

    vectors: NDArray[np.float32]
    similarity: Similarity
    row_weight: float = 1.0
    bonus: NDArray[np.float64] | None = None
    targets: NDArray[np.float32] | None = None
    target_weight: float | NDArray[np.float32] = 1.0

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
        rows = len(self.rows_among(points))
        weights = np.full(len(points), self.row_weight, dtype=np.float32)
        weights[rows:] = self.target_weights[points[rows:] - len(self.vectors)]
        return weights

    @property
    def target_weights(self) -> NDArray[np.float32]:
        """Return the weight of each target, (m,)."""
        return np.broadcast_to(np.asarray(self.target_weight, dtype=np.float32), self.points - len(self.vectors))

    def to_cover(self, points: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the points, among those given, that must be covered: without the rows if only targets count.

        :param points: ascending.
        """
        return points if self._rows_count else points[len(self.rows_among(points)) :]

    @property
    def _rows_count(self) -> bool:
        # Without any point there would be no kernel.
        return self.row_weight > 0 or self.targets is None

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
        """Return the weighted similarity of all rows to all points `to_cover`, (n, n + m) or (n, m) float32."""
        if not self._rows_count:
            return self.kernel(np.arange(len(self.vectors)), self.to_cover(np.arange(self.points)))
        kernel = self.similarity(self.vectors, self.vectors)
        if self.row_weight != 1:
            kernel *= np.float32(self.row_weight)
        if self.targets is None:
            return kernel
        return np.hstack([kernel, self.similarity(self.vectors, self.targets) * self.target_weights])

    def judged_by(self, size: int, seed: int) -> tuple[NDArray[np.int64], Coverage, float]:
        """Return points that represent all points: a sample of the rows and a sample of the target.

        :param size: most rows, and most targets, to draw.
        :param seed: seed of the draw.
        :return: the points, ascending; a coverage of the same rows with the weights in proportion; and the factor from
            its worth to the worth over all points.
        """
        n = len(self.vectors)
        drawn = _sample(n, size, seed) if self._rows_count else np.arange(0)
        factor = n / len(drawn) if self._rows_count else 1.0
        bonus = None if self.bonus is None else self.bonus / factor
        if self.targets is None:
            return drawn, replace(self, bonus=bonus), factor
        targets, weight = self.drawn_targets(size, seed)
        return np.concatenate([drawn, n + targets]), replace(self, bonus=bonus, target_weight=weight / factor), factor

    def drawn_targets(self, size: int, seed: int) -> tuple[NDArray[np.int64], Any]:
        """Draw a sample of the targets.

        :param size: most targets to draw.
        :param seed: seed of the draw.
        :return: their positions among the targets, ascending; and the weights of all targets if only these count.
        """
        m = self.points - len(self.vectors)
        if isinstance(self.target_weight, float | int):
            drawn = _sample(m, size, seed)
            return drawn, self.target_weight * m / len(drawn)
        weights = self.target_weights
        if m <= size:
            return np.arange(m), weights
        # A few targets with high weights must not be missed.
        share = weights.astype(np.float64) / weights.sum(dtype=np.float64)
        drawn, times = np.unique(np.random.default_rng(seed).choice(m, size, p=share), return_counts=True)
        judged = np.zeros(m, dtype=np.float32)
        judged[drawn] = times * (weights.sum(dtype=np.float64) / size)
        return drawn, judged

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
