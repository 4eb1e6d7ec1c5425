"""k-center: rows such that no row is far from all of them (farthest point sampling, core-set).

Each choice is the row that is farthest from all choices before it. The largest distance that is left is at most twice
the smallest that any set of this size can have (Gonzalez 1985).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import inner_products
from mergeit_ops.core.selection.method import Need, Pool, Selection

Start = Literal["centroid", "first", "random"]
STARTS: tuple[Start, ...] = ("centroid", "first", "random")

_CANDIDATES = 2_048
"""Rows among which choices are made before the distances of all rows are computed again."""

_BLOCK_ROWS = 8_192

_SAME = 1e-6
"""Squared distance, as a share of the largest squared norm, that rounding alone can make."""


@dataclass(frozen=True)
class KCenter:
    """Rows that leave no row far from all of them, by the Euclidean distance of embeddings.

    :param start: the first choice: the row nearest to the mean (`centroid`), the `first` row, or a `random` one.
    :param seed: seed of a random start.
    """

    start: Start = "centroid"
    seed: int = 42

    needs: ClassVar[frozenset[Need]] = frozenset({"vectors"})
    selected: ClassVar[str] = "the farthest from each other"

    def select(self, pool: Pool, budget: int) -> Selection:
        """Choose rows; their gains are their distances to the choices before them, infinite for the first."""
        return k_center(pool.vectors, budget, self._first(pool.vectors))

    def _first(self, vectors: NDArray[np.float32]) -> int:
        if self.start == "first":
            return 0
        if self.start == "random":
            return int(np.random.default_rng(self.seed).integers(len(vectors)))
        return int(_squared(vectors, vectors.mean(axis=0, dtype=np.float64)[None].astype(np.float32)).argmin())

    def note(self, rows: int, budget: int) -> str:
        """Return an empty text: there is nothing to log."""
        return ""


def k_center(vectors: NDArray[np.float32], budget: int, first: int, candidates: int = _CANDIDATES) -> Selection:
    """Choose rows by k-center.

    Distances only fall. So the best candidate is the best of all rows while it is farther than the last known distance
    of every other row.

    :param vectors: (n, d) float32.
    :param budget: rows to choose, 1 <= budget <= n.
    :param first: position of the first choice.
    :param candidates: rows among which choices are made before the distances of all rows are computed again.
    :return: the choices, and the distance of each to those before it. Of equal distances the first row is chosen.
    """
    n = len(vectors)
    distances = np.full(n, np.inf, dtype=np.float32)
    same = _SAME * float(np.einsum("ij,ij->i", vectors, vectors).max())
    chosen, gains = [first], [np.inf]
    latest = [first]
    while len(chosen) < budget:
        _approach(distances, vectors, vectors[latest])
        distances[chosen] = -1
        best = int(distances.argmax())
        if distances[best] <= same:
            # What is left are duplicates of choices.
            rest = np.flatnonzero(distances >= 0)[: budget - len(chosen)]
            return _selection([*chosen, *rest.tolist()], [*gains, *([0.0] * len(rest))])
        few = _farthest(distances, candidates, best)
        others = np.delete(distances, few)
        bound = others.max() if len(others) else -1.0
        own, near = distances[few], vectors[few]
        latest = []
        while len(chosen) < budget:
            place = int(own.argmax())
            if latest and own[place] <= max(bound, same):
                break
            latest.append(int(few[place]))
            chosen.append(latest[-1])
            gains.append(float(np.sqrt(max(own[place], 0))))
            np.minimum(own, _squared(near, near[place][None]), out=own)
            own[place] = -1
    return _selection(chosen, gains)


def _selection(chosen: list[int], gains: list[float]) -> Selection:
    return Selection(np.asarray(chosen, dtype=np.int64), np.asarray(gains, dtype=np.float64))


def _farthest(distances: NDArray[np.float32], count: int, best: int) -> NDArray[np.int64]:
    """Return the positions of the largest distances, ascending, among them the best."""
    if count >= len(distances):
        return np.arange(len(distances))
    return np.union1d(np.argpartition(-distances, count)[:count], [best])


def _approach(distances: NDArray[np.float32], vectors: NDArray[np.float32], chosen: NDArray[np.float32]) -> None:
    """Lower the squared distances of all rows to those of the nearest new choice."""
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        np.minimum(distances[block], _squared(vectors[block], chosen), out=distances[block])


def _squared(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the squared distance of each row of `a` to its nearest row of `b`."""
    norms = np.einsum("ij,ij->i", a, a)[:, None] + np.einsum("ij,ij->i", b, b)[None]
    return np.maximum(norms - 2 * inner_products(a, b), 0).min(axis=1)
