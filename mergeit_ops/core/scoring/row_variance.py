"""The spread of each row over the principal axes of all rows (LIFT's variety, arXiv 2312.11508)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["STATISTICS", "Statistic", "principal_coordinates", "row_statistic"]

Statistic = Literal["variance", "mean_square"]
STATISTICS: tuple[Statistic, ...] = ("variance", "mean_square")

_VARIANCE = 0.95


def principal_coordinates(vectors: NDArray[np.float32], components: int | None) -> NDArray[np.float64]:
    """Return rows in the coordinates of their principal axes, after each dimension is scaled to unit variance.

    The sign of an axis is arbitrary. Here its largest entry is positive, the first of equal ones.

    :param vectors: (n, d) float32, n >= 1.
    :param components: number of axes, 1 <= components <= d; None: the fewest that hold 95 % of the variance.
    :return: (n, components) float64.
    """
    centred = vectors - vectors.mean(axis=0, dtype=np.float64)
    scale = centred.std(axis=0)
    scaled = centred / np.where(scale > 0, scale, 1.0)
    values, axes = np.linalg.eigh(scaled.T @ scaled)
    values, axes = np.clip(values[::-1], 0, None), axes[:, ::-1]
    if components is None:
        shares = np.cumsum(values) / max(values.sum(), np.finfo(float).tiny)
        components = int(np.searchsorted(shares, _VARIANCE - 1e-12)) + 1
    axes = axes[:, : min(components, axes.shape[1])]
    largest = np.abs(axes).argmax(axis=0)
    signs = np.sign(axes[largest, np.arange(axes.shape[1])])
    coordinates: NDArray[np.float64] = scaled @ (axes * signs)
    return coordinates


def row_statistic(coordinates: NDArray[np.float64], statistic: Statistic) -> NDArray[np.float64]:
    """Return the spread of each row over its coordinates.

    :param coordinates: (n, c) float64.
    :param statistic: `variance` of the coordinates of a row, over their own mean (LIFT's code; it depends on the signs
        of the axes); `mean_square`, which does not.
    :return: (n,) float64.
    """
    spread = coordinates.var(axis=1) if statistic == "variance" else np.square(coordinates).mean(axis=1)
    return np.asarray(spread, dtype=np.float64)
