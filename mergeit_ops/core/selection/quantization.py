"""Dataset quantization: a share of each of several bins, from the most central rows to the rest (Zhou et al. 2023).

A bin is filled greedily. Each choice x has the highest gain (Eq. 5 of https://arxiv.org/abs/2308.10524)

    P(x) = sum over p in S of |x - p|^2  -  sum over p in D without S of |x - p|^2,

where D are the rows that are in no earlier bin, and S is the bin so far. So a choice is close to the rest of D and far
from its own bin. P needs no distance between two rows. With the sums T and s of the rows of D and S, and the sums A and
B of their squared norms, it is

    P(x) = 2 x (T - 2 s) + (2 |S| - |D|) |x|^2 + 2 B - A.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import inner_products
from mergeit_ops.core.selection.budget import proportional_budgets
from mergeit_ops.core.selection.highest import highest
from mergeit_ops.core.selection.method import Pool, Selection, SelectionMethod

MOST_ROWS = 50_000
"""Most rows. The time grows with the square of the rows; this many take some minutes on two cores."""

_CANDIDATES = 2_048
"""Number of rows among which choices are made before the gains of all rows are computed again."""


@dataclass(frozen=True)
class Quantization(SelectionMethod):
    """A random share of each bin of dataset quantization.

    :param num_bins: number of bins, at most the number of rows.
    :param seed: seed of the random shares.
    """

    num_bins: int = 10
    seed: int = 42

    selected: ClassVar[str] = "a share of each bin"
    nested: ClassVar[bool] = False

    def refusal(self, rows: int, budget: int) -> str:
        """See `SelectionMethod`."""
        if rows <= MOST_ROWS:
            return ""
        return (
            f"the method quantization compares all rows with each other; it takes at most {MOST_ROWS:,} rows, "
            f"and there are {rows:,}. Select within topics, or use k_center"
        )

    def select(self, pool: Pool, budget: int) -> Selection:
        """Choose from each bin in proportion to its size; the gains are the gains in the bins."""
        rng = np.random.default_rng(self.seed)
        bins = fill_bins(pool.vectors, self.num_bins)
        shares = proportional_budgets([len(rows.indices) for rows in bins], budget)
        # Places in the order of a bin, not positions of rows, so that the same rows are drawn in any order of the
        # input.
        drawn = [
            np.sort(rng.choice(len(rows.indices), share, replace=False))
            for rows, share in zip(bins, shares.tolist(), strict=True)
        ]
        return Selection(
            np.concatenate([np.zeros(0, np.int64), *(r.indices[d] for r, d in zip(bins, drawn, strict=True))]),
            np.concatenate([np.zeros(0), *(r.gains[d] for r, d in zip(bins, drawn, strict=True))]),
        )


def bin_sizes(rows: int, num_bins: int) -> list[int]:
    """Return how many rows each bin holds: floor(rows / bins), and in the last one also the remainder."""
    count = min(rows, num_bins)
    if not count:
        return []
    size = rows // count
    return [*[size] * (count - 1), rows - size * (count - 1)]


def fill_bins(vectors: NDArray[np.float32], num_bins: int, candidates: int = _CANDIDATES) -> list[Selection]:
    """Split rows into bins, one after the other.

    :param vectors: (n, d) float32.
    :param num_bins: number of bins, at most n.
    :param candidates: number of rows among which choices are made before the gains of all rows are computed again.
    :return: the rows of each bin in the order in which they were chosen, and their gains P. Equal gains go to the first
        row.
    """
    left = np.arange(len(vectors))
    bins = []
    for size in bin_sizes(len(vectors), num_bins):
        chosen, gains = _fill(vectors[left], size, candidates)
        bins.append(Selection(left[chosen], gains))
        left = np.delete(left, chosen)
    return bins


def _fill(vectors: NDArray[np.float32], size: int, candidates: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Fill one bin from the rows that earlier bins left.

    P is linear in s. So several choices are made among the rows with the highest gains before the gains of all rows are
    computed again. These are also the choices among all rows, as long as no other gain can have risen above theirs.
    """
    norms = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    total = vectors.sum(axis=0, dtype=np.float64)
    gains = 2 * np.einsum("ij,j->i", vectors, total) - len(vectors) * norms - norms.sum()
    rise = _Rise.of(vectors, norms, total)
    chosen: list[int] = []
    at_choice: list[float] = []
    while len(chosen) < size:
        few = highest(gains, candidates)
        others = np.delete(gains, few)
        bound = others.max() if len(others) else -np.inf
        own, near, own_norms = gains[few], vectors[few], norms[few]
        added, added_norms, count = np.zeros(vectors.shape[1]), 0.0, 0
        while len(chosen) < size:
            place = int(own.argmax())
            if count and own[place] <= bound + rise.most(added, added_norms, count):
                break
            chosen.append(int(few[place]))
            at_choice.append(float(own[place]))
            # |x - p|^2 leaves one sum of P and enters the other.
            inner = inner_products(near, near[place : place + 1])[:, 0]
            own += 2 * (own_norms + own_norms[place] - 2 * inner)
            own[place] = -np.inf
            added += near[place]
            added_norms += own_norms[place]
            count += 1
        inner = inner_products(vectors, added[None].astype(np.float32))[:, 0]
        gains += 2 * (count * norms + added_norms - 2 * inner)
        gains[chosen] = -np.inf
    return np.asarray(chosen, dtype=np.int64), np.asarray(at_choice, dtype=np.float64)


@dataclass(frozen=True)
class _Rise:
    """The most that the gain of a row can rise.

    Rows are split into their part along the mean of all rows and the rest. Choices are similar along the mean and
    differ in the rest.

    :param mean: (d,) direction of the mean.
    :param along: the smallest and the largest part along the mean.
    :param across: the largest norm of the rest.
    :param norm: the largest squared norm of a row.
    """

    mean: NDArray[np.float64]
    along: tuple[float, float]
    across: float
    norm: float

    @classmethod
    def of(cls, vectors: NDArray[np.float32], norms: NDArray[np.float64], total: NDArray[np.float64]) -> _Rise:
        mean = total / (np.linalg.norm(total) or 1)
        along = np.einsum("ij,j->i", vectors, mean)
        across = np.sqrt(np.maximum(norms - along**2, 0).max())
        return cls(mean, (float(along.min()), float(along.max())), float(across), float(norms.max()))

    def most(self, added: NDArray[np.float64], added_norms: float, count: int) -> float:
        """Return the most that the gain of any row can rise by choices.

        :param added: (d,) sum of the chosen rows.
        :param added_norms: sum of their squared norms.
        :param count: number of the chosen rows.
        """
        along = float(added @ self.mean)
        across = math.sqrt(max(float(added @ added) - along**2, 0))
        least_inner = min(along * part for part in self.along) - across * self.across
        return 2 * (count * self.norm + added_norms - 2 * least_inner)
