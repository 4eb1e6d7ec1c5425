"""Semantic deduplication (SemDeDup, https://arxiv.org/abs/2303.09540): keep one of several rows that mean nearly the
same.

Rows are compared within cells of similar rows. In the order of `keep`, a row is dropped if it is too similar to an
earlier one. A second pass compares rows near the border of their cell with the rows on the other side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import inner_products
from mergeit_ops.core.selection.apart import Chain, exceeds, keep_apart
from mergeit_ops.core.selection.method import Need, Pool, Selection, SelectionMethod
from mergeit_ops.core.topics.cells import find_cells

__all__ = [
    "KEEPS",
    "MOST_CELL_ROWS",
    "Keep",
    "SemanticDeduplication",
    "default_num_cells",
    "drop_across_cells",
    "drop_within_cells",
    "keep_order",
]

Keep = Literal["score", "hard", "easy", "first"]
KEEPS: tuple[Keep, ...] = ("score", "hard", "easy", "first")

MOST_CELL_ROWS = 10_000
"""Most rows of a cell. Comparing them takes seconds, and the time grows with their square."""

_ROWS_PER_CELL = 1_000
_NEIGHBOURS = 2
_DIGITS = 6  # of a distance; float32 has hardly more
_BLOCK_ROWS = 2_048


@dataclass(frozen=True)
class SemanticDeduplication(SelectionMethod):
    """One of each group of rows that mean nearly the same.

    :param max_similarity: highest cosine that is allowed; 0.95 corresponds to an eps of 0.05 in the paper.
    :param num_clusters: number of cells; None: see `default_num_cells`.
    :param keep: see `keep_order`.
    :param chain: see `keep_apart`.
    :param across_cells: whether rows are compared across the borders of cells.
    :param seed: seed of K-means.
    """

    max_similarity: float = 0.95
    num_clusters: int | None = None
    keep: Keep = "first"
    chain: Chain = "greedy"
    across_cells: bool = True
    seed: int = 42

    selected: ClassVar[str] = "one of each group of like rows"
    has_bound: ClassVar[bool] = True

    @property
    def needs(self) -> frozenset[Need]:
        """See `SelectionMethod`."""
        return frozenset({"vectors", "scores"} if self.keep == "score" else {"vectors"})

    def select(self, pool: Pool, budget: int) -> Selection:
        """Choose rows, at most `budget` of them, in the order of `keep`. There are no gains."""
        vectors = pool.vectors
        count = default_num_cells(len(vectors)) if self.num_clusters is None else self.num_clusters
        cells = find_cells(vectors, count, None, self.seed, MOST_CELL_ROWS).rows()
        order = keep_order(vectors, cells, self.keep, pool.scores)
        dropped_for = drop_within_cells(vectors, cells, order, self.max_similarity, self.chain)
        within = int((dropped_for >= 0).sum())
        if self.across_cells:
            dropped_for = drop_across_cells(vectors, cells, order, self.max_similarity, dropped_for, self.chain)
        dropped = np.flatnonzero(dropped_for >= 0)
        chosen = order[dropped_for[order] < 0][:budget]
        counts = {"cells": len(cells), "across_cells": len(dropped) - within}
        return Selection(chosen, np.zeros(len(chosen)), np.stack([dropped, dropped_for[dropped]]), counts=counts)


def default_num_cells(n: int) -> int:
    """Return the number of cells for n rows: one per 1,000, at least 1."""
    return max(1, round(n / _ROWS_PER_CELL))


def keep_order(
    vectors: NDArray[np.float32],
    cells: list[NDArray[np.int64]],
    keep: Keep,
    scores: NDArray[np.float64] | None = None,
) -> NDArray[np.int64]:
    """Return all rows in the order in which they are compared; of two similar rows, the first is kept.

    :param vectors: (n, d) float32 of unit norm.
    :param cells: positions of the rows of each cell; each row is in one.
    :param keep: `score`: the higher score first. `hard`: the row farther from the centre of its cell, by the cosine,
        first, as in the released code. `easy`: the nearer row first. `first`: the order of the input.
    :param scores: (n,) score of each row; needed for `score`.
    :return: (n,) positions. Ties keep their order.
    """
    if keep == "first":
        return np.arange(len(vectors))
    if keep == "score":
        assert scores is not None
        return np.argsort(-scores, kind="stable")
    distances = np.zeros(len(vectors))
    for rows in cells:
        own = vectors[rows].astype(np.float64)
        centre = own.sum(axis=0)
        distances[rows] = 1 - (own * centre).sum(axis=1) / (np.linalg.norm(centre) or 1.0)
    distances = np.round(distances, _DIGITS)
    return np.argsort(-distances if keep == "hard" else distances, kind="stable")


def drop_within_cells(
    vectors: NDArray[np.float32],
    cells: list[NDArray[np.int64]],
    order: NDArray[np.int64],
    bound: float,
    chain: Chain = "greedy",
) -> NDArray[np.int64]:
    """Compare the rows of each cell.

    :param vectors: (n, d) float32 of unit norm.
    :param cells: positions of the rows of each cell.
    :param order: see `keep_order`.
    :param bound: highest cosine that is allowed.
    :param chain: see `keep_apart`.
    :return: (n,) for each row the row for which it is dropped; -1 if it is kept. With `greedy` that row is a kept one.
    """
    ranks = _ranks(order)
    dropped_for = np.full(len(vectors), -1, dtype=np.int64)
    for rows in cells:
        places = np.argsort(ranks[rows], kind="stable")
        found = keep_apart(vectors[rows], places, bound, chain=chain)
        dropped_for[rows[found.dropped]] = rows[found.dropped_for]
    return dropped_for


def drop_across_cells(
    vectors: NDArray[np.float32],
    cells: list[NDArray[np.int64]],
    order: NDArray[np.int64],
    bound: float,
    dropped_for: NDArray[np.int64],
    chain: Chain = "greedy",
) -> NDArray[np.int64]:
    """Compare kept rows near the border of their cell with the rows of the two next nearest cells.

    Only rows near a border can be this similar to a row across it, so most rows need no comparison. A row dropped
    before stays dropped, even if the row for which it was dropped is dropped now.

    :param vectors: see `drop_within_cells`.
    :param cells: see `drop_within_cells`.
    :param order: see `keep_order`.
    :param bound: see `drop_within_cells`.
    :param dropped_for: result of `drop_within_cells`.
    :param chain: see `keep_apart`.
    :return: the same array after both passes.
    """
    ranks = _ranks(order)
    kept = [rows[dropped_for[rows] < 0] for rows in cells]
    pairs = [
        np.stack([rows[row], others[other]])
        for rows, others in _across_borders(vectors, kept, bound)
        for row, other in [np.nonzero(exceeds(vectors[rows], vectors[others], bound))]
    ]
    found = np.concatenate([np.zeros((2, 0), np.int64), *pairs], axis=1)
    swapped = ranks[found[0]] > ranks[found[1]]
    first, later = np.where(swapped, found[::-1], found)
    dropped = dropped_for.copy()
    # Sorted by the row that may be dropped, then by the row for which it may be dropped.
    for place in np.lexsort((ranks[first], ranks[later])).tolist():
        row, other = later[place], first[place]
        if dropped[row] < 0 and (chain == "released" or dropped[other] < 0):
            dropped[row] = other
    return dropped


def _ranks(order: NDArray[np.int64]) -> NDArray[np.int64]:
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return ranks


def _across_borders(
    vectors: NDArray[np.float32], cells: list[NDArray[np.int64]], bound: float
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield rows near a border, and the rows across it to which they may be similar."""
    cells = [rows for rows in cells if len(rows)]
    if len(cells) < 2:
        return
    centres = np.stack([vectors[rows].mean(axis=0) for rows in cells])
    norms = np.einsum("ij,ij->i", centres, centres)
    # Two unit vectors with this cosine have this distance, and neither is farther than that from the border between
    # them.
    reach = np.sqrt(max(0.0, 2 - 2 * bound)) + 1e-3
    near_rows: list[NDArray[np.int64]] = []
    near_cells: list[NDArray[np.int64]] = []
    for number, rows in enumerate(cells):
        for start in range(0, len(rows), _BLOCK_ROWS):
            block = rows[start : start + _BLOCK_ROWS]
            distances = norms - 2 * inner_products(vectors[block], centres)
            own = distances[:, number].copy()
            distances[:, number] = np.inf
            for _ in range(min(_NEIGHBOURS, len(cells) - 1)):
                others = distances.argmin(axis=1)
                gaps = np.sqrt(np.maximum(_squares(centres[others] - centres[number]), 1e-12))
                close = distances[np.arange(len(block)), others] - own <= 2 * gaps * reach
                near_rows.append(block[close])
                near_cells.append(others[close])
                distances[np.arange(len(block)), others] = np.inf
    # Grouped by the cell on the other side, to compute few large products instead of many small ones.
    found, across = np.concatenate(near_rows), np.concatenate(near_cells)
    order = np.argsort(across, kind="stable")
    bounds = np.searchsorted(across[order], np.arange(len(cells) + 1))
    for number, rows in enumerate(cells):
        near = found[order[bounds[number] : bounds[number + 1]]]
        for start in range(0, len(near), _BLOCK_ROWS):
            yield near[start : start + _BLOCK_ROWS], rows


def _squares(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.einsum("ij,ij->i", rows, rows))
