"""Determinantal point process: rows whose kernel matrix has a large determinant, so that no two are similar.

Greedy MAP inference with rows of a Cholesky factor (Chen, Zhang and Zhou 2018, https://arxiv.org/abs/1709.05135): each
choice is the row that raises the log determinant most. Neither the kernel of all rows nor a determinant is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import inner_products, squared_distances
from mergeit_ops.core.selection.method import Pool, Selection
from mergeit_ops.core.selection.starts import StartedMethod

KernelName = Literal["rbf", "linear"]
KERNELS: tuple[KernelName, ...] = ("rbf", "linear")

MOST_FACTORS = 250_000_000
"""Most entries of the Cholesky factor: 1 GB of float32."""

_SAME = 1e-5
"""A row counts as determined by the choices if its remainder is at most this share of the largest one. Rounding leaves
about a tenth of this for a duplicate."""


@dataclass(frozen=True)
class Kernel:
    """The similarity of two rows.

    :param name: `rbf`: exp(-distance^2 / (2 bandwidth^2)). `linear`: the inner product, whose rank is at most d.
    :param bandwidth: in the unit of the distances; `linear` does not use it.
    """

    name: KernelName = "rbf"
    bandwidth: float = 1.0

    def diagonal(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the similarity of each row to itself."""
        if self.name == "linear":
            return np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
        return np.ones(len(vectors))

    def column(self, vectors: NDArray[np.float32], place: int) -> NDArray[np.float32]:
        """Return the similarity of each row to one of them."""
        one = vectors[place : place + 1]
        if self.name == "linear":
            return inner_products(vectors, one)[:, 0]
        # Divided before squaring, and in double precision, because a narrow kernel would otherwise divide by 0.
        scaled = squared_distances(vectors, one)[:, 0].astype(np.float64) / self.bandwidth / self.bandwidth
        return np.exp(scaled / -2).astype(np.float32)

    def rank(self, vectors: NDArray[np.float32]) -> int:
        """Return the largest rank that the kernel of the rows can have."""
        return min(vectors.shape) if self.name == "linear" else len(vectors)


@dataclass(frozen=True)
class DPP(StartedMethod):
    """Rows that are likely together in a determinantal point process.

    :param kernel: see `Kernel`.
    :param bandwidth: see `Kernel`; None: the root mean square of the distances between rows. It is close to the median
        distance. It needs no sample of pairs, so it does not depend on the order of the rows.
    """

    kernel: KernelName = "rbf"
    bandwidth: float | None = None

    selected: ClassVar[str] = "the least alike"

    def select(self, pool: Pool, budget: int) -> Selection:
        """Choose greedily; see `greedy_map`."""
        bandwidth = mean_distance(pool.vectors) if self.bandwidth is None else self.bandwidth
        return greedy_map(pool.vectors, budget, self.first_rows(pool), Kernel(self.kernel, bandwidth))

    def refusal(self, rows: int, budget: int) -> str:
        """See `SelectionMethod`."""
        if rows * budget <= MOST_FACTORS:
            return ""
        return (
            f"the method dpp keeps a number for each pair of {rows:,} rows and {budget:,} choices; its limit is "
            f"{MOST_FACTORS:,} numbers. Choose at most {MOST_FACTORS // rows:,}, select within topics, or use k_center"
        )


def mean_distance(vectors: NDArray[np.float32]) -> float:
    """Return the root mean square of the distances between different rows; 1 if there are none."""
    n = len(vectors)
    if n < 2:
        return 1.0
    centred = vectors - vectors.mean(axis=0, dtype=np.float64)
    return float(np.sqrt(2 * np.einsum("ij,ij->", centred, centred) / (n - 1))) or 1.0


def greedy_map(
    vectors: NDArray[np.float32],
    budget: int,
    first: NDArray[np.int64],
    kernel: Kernel,
    quality: NDArray[np.float64] | None = None,
) -> Selection:
    """Choose rows greedily by the determinant of L = quality_i kernel_ij quality_j.

    If the choices determine all rows that are left (duplicates, or after d choices with a linear kernel), the selection
    starts again among those rows, as if there were no choices yet.

    :param vectors: (n, d) float32.
    :param budget: rows to choose, including the first ones; len(first) <= budget <= n.
    :param first: positions of the first choices; empty: the row with the highest quality.
    :param kernel: similarity of two rows.
    :param quality: (n,) weights above 0; None: all are 1.
    :return: the choices, and how much each raises the log determinant: -inf if the others determine it. Among equal
        rows, the first is chosen.
    """
    weights = np.ones(len(vectors)) if quality is None else quality
    rest = np.arange(len(vectors))
    chosen: list[int] = []
    gains: list[float] = []
    while len(chosen) < budget:
        places, more = _until_determined(vectors[rest], budget - len(chosen), first, kernel, weights[rest])
        gains += more if not chosen else [-np.inf] * len(more)
        chosen += rest[places].tolist()
        rest, first = np.delete(rest, places), first[:0]
    return Selection(np.asarray(chosen, dtype=np.int64), np.asarray(gains, dtype=np.float64))


def _until_determined(
    vectors: NDArray[np.float32],
    budget: int,
    first: NDArray[np.int64],
    kernel: Kernel,
    weights: NDArray[np.float64],
) -> tuple[list[int], list[float]]:
    """Choose rows until the choices determine all others; at least one."""
    left = kernel.diagonal(vectors) * weights**2
    least = _SAME * float(left.max())
    most = min(budget, kernel.rank(vectors))
    factors = np.empty((len(vectors), most), dtype=np.float32)
    count = 0
    chosen: list[int] = []
    gains: list[float] = []
    starting = first.tolist()
    while len(chosen) < budget:
        place = starting[len(chosen)] if len(chosen) < len(starting) else int(left.argmax())
        own = float(left[place])
        determined = own <= least or count == most
        if determined and chosen and len(chosen) >= len(starting):
            break
        chosen.append(place)
        gains.append(-np.inf if determined else float(np.log(own)))
        if not determined:
            column = kernel.column(vectors, place) * weights * weights[place]
            known = inner_products(factors[:, :count], factors[place : place + 1, :count])[:, 0]
            factors[:, count] = (column - known) / np.sqrt(own)
            left -= factors[:, count].astype(np.float64) ** 2
            count += 1
        left[place] = -np.inf
    return chosen, gains
