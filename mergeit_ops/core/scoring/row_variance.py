"""The spread of each row over the principal axes of all rows (LIFT's variety, arXiv 2312.11508)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["STATISTICS", "PrincipalAxes", "Statistic", "row_statistic"]

Statistic = Literal["variance", "mean_square"]
STATISTICS: tuple[Statistic, ...] = ("variance", "mean_square")

_VARIANCE = 0.95
_BLOCK_ROWS = 16_384
_SAME = 1e-6  # entries of an axis that differ by less may differ only by rounding


@dataclass(frozen=True)
class PrincipalAxes:
    """The principal axes of rows, after each dimension is scaled to unit variance.

    The sign of an axis is arbitrary. Here its largest entry is positive, the first of nearly equal ones.

    :param mean: (d,) mean of the rows.
    :param axes: (d, c) float64, including the scaling of the dimensions.
    """

    mean: NDArray[np.float64]
    axes: NDArray[np.float64]

    @classmethod
    def of(cls, vectors: NDArray[np.float32], components: int | None) -> PrincipalAxes:
        """Return the axes of rows.

        :param vectors: (n, d) float32, n >= 1.
        :param components: number of axes, 1 <= components <= d; None: the fewest that hold 95 % of the variance.
        """
        mean = vectors.mean(axis=0, dtype=np.float64)
        products = np.zeros((vectors.shape[1], vectors.shape[1]))
        for block in _blocks(vectors):
            centred = block - mean
            products += centred.T @ centred
        scale = np.sqrt(np.diag(products) / len(vectors))
        scale = np.where(scale > 0, scale, 1.0)
        values, axes = np.linalg.eigh(products / np.outer(scale, scale))
        values, axes = np.clip(values[::-1], 0, None), axes[:, ::-1]
        if components is None:
            shares = np.cumsum(values) / max(values.sum(), np.finfo(float).tiny)
            components = int(np.searchsorted(shares, _VARIANCE - 1e-12)) + 1
        axes = axes[:, : min(components, axes.shape[1])]
        largest = (np.abs(axes) >= np.abs(axes).max(axis=0) - _SAME).argmax(axis=0)
        signs = np.sign(axes[largest, np.arange(axes.shape[1])])
        return cls(mean, axes * signs / scale[:, None])

    def coordinates(self, vectors: NDArray[np.float32]) -> Iterator[NDArray[np.float64]]:
        """Yield the coordinates of rows, (m, c) float64, block by block."""
        for block in _blocks(vectors):
            yield (block - self.mean) @ self.axes


def _blocks(vectors: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    return (vectors[start : start + _BLOCK_ROWS] for start in range(0, len(vectors), _BLOCK_ROWS))


def row_statistic(coordinates: NDArray[np.float64], statistic: Statistic) -> NDArray[np.float64]:
    """Return the spread of each row over its coordinates.

    :param coordinates: (n, c) float64.
    :param statistic: `variance` of the coordinates of a row around their own mean (as in LIFT's code; it depends on the
        signs of the axes), or `mean_square`, which does not depend on them.
    :return: (n,) float64.
    """
    spread = coordinates.var(axis=1) if statistic == "variance" else np.square(coordinates).mean(axis=1)
    return np.asarray(spread, dtype=np.float64)
