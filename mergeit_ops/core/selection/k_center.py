"""k-center: chosen rows such that no row is far from all of them (farthest point sampling, core-set).

Each choice is the row farthest from all choices before it. The largest remaining distance is at most twice the smallest
possible one for a set of this size (Gonzalez 1985).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import squared_distances
from mergeit_ops.core.selection.highest import highest
from mergeit_ops.core.selection.method import PARTITION_ROWS, Pool, Selection
from mergeit_ops.core.selection.starts import StartedMethod

__all__ = ["CANDIDATES", "KCenter", "approach", "farthest_first", "k_center", "same_within"]

CANDIDATES = 2_048
"""Number of rows among which choices are made before the distances of all rows are computed again."""

_BLOCK_ROWS = 8_192

_SAME = 1e-6
"""Largest squared distance, as a share of the largest squared norm, that rounding alone can produce."""


@dataclass(frozen=True)
class KCenter(StartedMethod):
    """Rows that leave no row far from all of them, by the Euclidean distance of embeddings.

    :param partition_rows: see `most_rows` of `SelectionMethod`.
    """

    partition_rows: int | None = PARTITION_ROWS

    selected: ClassVar[str] = "the farthest from each other"
    goes_farthest: ClassVar[bool] = True
    in_partitions: ClassVar[str] = (
        "Each of them measures how far its samples are from the chosen ones, so the choice is that from all samples at "
        "once"
    )

    @property
    def most_rows(self) -> int | None:
        """See `SelectionMethod`."""
        return self.partition_rows

    def select(self, pool: Pool, budget: int) -> Selection:
        """Choose rows; their gains are their distances to the choices before them, infinite for the first ones."""
        return k_center(pool.vectors, budget, self.first_rows(pool))


def k_center(
    vectors: NDArray[np.float32], budget: int, first: NDArray[np.int64], candidates: int = CANDIDATES
) -> Selection:
    """Choose rows by k-center.

    Distances only fall. So the best candidate is the best of all rows as long as it is farther away than the last known
    distance of every other row.

    :param vectors: (n, d) float32.
    :param budget: rows to choose, including the first ones; len(first) <= budget <= n.
    :param first: positions of the first choices, at least one if there are rows.
    :param candidates: number of rows among which choices are made before the distances of all rows are computed again.
    :return: the choices, and the distance of each to those before it. Among equal distances, the first row is chosen.
    """
    n = len(vectors)
    distances = np.full(n, np.inf, dtype=np.float32)
    same = same_within(float(np.einsum("ij,ij->i", vectors, vectors).max(initial=0)))
    chosen, latest = first.tolist(), first.tolist()
    gains = [np.inf] * len(chosen)
    while len(chosen) < budget:
        approach(distances, vectors, vectors[latest])
        distances[chosen] = -1
        best = int(distances.argmax())
        if distances[best] <= same:
            # The remaining rows are duplicates of choices.
            rest = np.flatnonzero(distances >= 0)[: budget - len(chosen)]
            return _selection([*chosen, *rest.tolist()], [*gains, *([0.0] * len(rest))])
        few = highest(distances, candidates)
        others = np.delete(distances, few)
        bound = others.max() if len(others) else -1.0
        places, more = farthest_first(distances[few], vectors[few], budget - len(chosen), max(bound, same))
        latest = few[places].tolist()
        chosen += latest
        gains += more
    return _selection(chosen, gains)


def farthest_first(
    distances: NDArray[np.float32], vectors: NDArray[np.float32], count: int, bound: float
) -> tuple[list[int], list[float]]:
    """Choose the row farthest from all choices, again and again, as long as it is the farthest of all rows.

    :param distances: (c,) squared distances of some rows to the choices before; changed. One of them is the largest of
        all rows.
    :param vectors: (c, d) vectors of these rows.
    :param count: most rows to choose, at least 1.
    :param bound: the largest squared distance of the other rows.
    :return: the places of the choices, at least one, and the distance of each to those before it.
    """
    places: list[int] = []
    gains: list[float] = []
    while len(places) < count:
        place = int(distances.argmax())
        if places and distances[place] <= bound:
            break
        places.append(place)
        gains.append(float(np.sqrt(max(distances[place], 0))))
        np.minimum(distances, squared_distances(vectors, vectors[place][None])[:, 0], out=distances)
        distances[place] = -1
    return places, gains


def same_within(norm: float) -> float:
    """Return the largest squared distance of two rows that rounding alone can produce.

    :param norm: the largest squared norm of all rows.
    """
    return _SAME * norm


def _selection(chosen: list[int], gains: list[float]) -> Selection:
    return Selection(np.asarray(chosen, dtype=np.int64), np.asarray(gains, dtype=np.float64))


def approach(distances: NDArray[np.float32], vectors: NDArray[np.float32], chosen: NDArray[np.float32]) -> None:
    """Lower the squared distances of all rows to those to the nearest new choice.

    :param distances: (n,) squared distances to the choices before; changed.
    :param vectors: (n, d) float32.
    :param chosen: (k, d) vectors of the new choices.
    """
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        # Many rows may be chosen already.
        for part in range(0, len(chosen), CANDIDATES):
            nearest = squared_distances(vectors[block], chosen[part : part + CANDIDATES]).min(axis=1)
            np.minimum(distances[block], nearest, out=distances[block])
