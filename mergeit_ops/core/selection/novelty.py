"""Novelty: rows far from all chosen ones, where distances count more in dense regions (NovelSelect, Yang et al. 2025).

Source: https://arxiv.org/abs/2502.17184, in the form of the released code. The density of a row is

    sigma(x) = (mean squared distance to its nearest rows + 1e-9) ** -power,

and its novelty given the chosen rows S, where d_r is the r-th smallest of (sigma(x) + sigma(s)) * (1 - cos(x, s)), is

    v(x) = mean over r = 1 .. |S| of d_r / r.

Each choice is the row with the highest novelty. (The paper uses the density of s alone; the code uses both densities.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import inner_products, squared_distances
from mergeit_ops.core.selection.method import Pool, Selection
from mergeit_ops.core.selection.starts import StartedMethod

MOST_ROWS = 20_000
MOST_STEPS = MOST_ROWS * 2_000**2
"""Most rows, and most rows times the square of the choices. They take some minutes on two cores."""

_BLOCK_ROWS = 1_024
_NO_DISTANCE = 1e-9


@dataclass(frozen=True)
class Novelty(StartedMethod):
    """Rows that are novel compared with the rows chosen before them.

    :param density_neighbors: number of nearest rows from which the density of a row is computed.
    :param density_power: exponent of the density; with 0 it has no influence.
    """

    density_neighbors: int = 10
    density_power: float = 0.5

    selected: ClassVar[str] = "the most novel"

    def select(self, pool: Pool, budget: int) -> Selection:
        """Choose rows; the gains are their novelties, infinite for the first ones."""
        densities = density(pool.vectors, self.density_neighbors, self.density_power)
        return most_novel(pool.vectors, budget, self.first_rows(pool), densities)

    def refusal(self, rows: int, budget: int) -> str:
        """See `SelectionMethod`."""
        if rows <= MOST_ROWS and rows * budget**2 <= MOST_STEPS:
            return ""
        if rows <= MOST_ROWS:
            most = math.isqrt(MOST_STEPS // rows)
            return (
                f"the method novelty takes time that grows with the square of the choices; from {rows:,} rows it can "
                f"choose at most {most:,}, and {budget:,} are wanted. Select within topics, or use k_center"
            )
        return (
            f"the method novelty takes at most {MOST_ROWS:,} rows, and there are {rows:,}. Select within "
            "topics, reduce the rows with budget_selector, or use k_center"
        )


def density(vectors: NDArray[np.float32], neighbors: int, power: float) -> NDArray[np.float32]:
    """Return the density around each row; see above.

    :param vectors: (n, d) float32.
    :param neighbors: nearest other rows, at most n - 1.
    :param power: see above. A row with that many duplicates has a density of 1e9 ** power.
    """
    n = len(vectors)
    neighbors = min(neighbors, n - 1)
    if neighbors < 1 or not power:
        return np.ones(n, dtype=np.float32)
    squared = np.empty(n)
    for start in range(0, n, _BLOCK_ROWS):
        block = squared_distances(vectors[start : start + _BLOCK_ROWS], vectors)
        own = np.arange(len(block))
        block[own, start + own] = np.inf
        nearest = np.sort(np.partition(block, neighbors - 1, axis=1)[:, :neighbors], axis=1)
        squared[start : start + _BLOCK_ROWS] = nearest.mean(axis=1, dtype=np.float64)
    return ((squared + _NO_DISTANCE) ** -power).astype(np.float32)


def most_novel(
    vectors: NDArray[np.float32], budget: int, first: NDArray[np.int64], densities: NDArray[np.float32]
) -> Selection:
    """Choose rows by their novelty.

    :param vectors: (n, d) float32 of unit norm.
    :param budget: rows to choose, including the first ones; len(first) <= budget <= n.
    :param first: positions of the first choices, at least one if there are rows.
    :param densities: (n,) float32.
    :return: the choices and their novelties. Among equal novelties, the first row is chosen.
    """
    # The distances of each row to the choices, ascending: the first array holds the smallest distance of every row.
    ranked: list[NDArray[np.float32]] = []
    chosen: list[int] = []
    gains: list[float] = []
    novelties = np.zeros(len(vectors))
    while len(chosen) < budget:
        starting = len(chosen) < len(first)
        place = int(first[len(chosen)]) if starting else int(novelties.argmax())
        gains.append(np.inf if starting else float(novelties[place]))
        chosen.append(place)
        cosines = inner_products(vectors, vectors[place : place + 1])[:, 0]
        novelties = _inserted(ranked, (densities + densities[place]) * np.maximum(1 - cosines, 0))
        novelties[chosen] = -np.inf
    return Selection(np.asarray(chosen, dtype=np.int64), np.asarray(gains, dtype=np.float64))


def _inserted(ranked: list[NDArray[np.float32]], distances: NDArray[np.float32]) -> NDArray[np.float64]:
    """Insert the distances to one more choice, and return the novelties."""
    novelties = np.zeros(len(distances))
    for rank, smaller in enumerate(ranked, 1):
        larger = np.maximum(smaller, distances)
        np.minimum(smaller, distances, out=smaller)
        novelties += smaller / np.float32(rank)
        distances = larger
    ranked.append(distances)
    return (novelties + distances / np.float32(len(ranked))) / len(ranked)
