"""Rows that are not too similar: each row, in a given order, is kept unless an earlier row is too similar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import inner_products

__all__ = ["CHAINS", "Apart", "Chain", "exceeds", "keep_apart"]

Chain = Literal["greedy", "released"]
CHAINS: tuple[Chain, ...] = ("greedy", "released")

_BLOCK_ROWS = 1_024
_COMPARED_ROWS = 8_192
_PAIRS = 65_536
_UNSURE = 1e-5
"""A product in float32 that is closer than this to the bound is computed again in float64."""
_SLACK = 1e-6
"""The most that rounding vectors to float32 can add to a cosine."""


@dataclass(frozen=True)
class Apart:
    """The rows that are kept, and those that are dropped because they are too similar to an earlier row.

    :param kept: positions of the rows that are kept, in the order in which they were looked at.
    :param dropped: positions of the dropped rows, in that order. Rows that were not looked at are in neither.
    :param dropped_for: for each dropped row the first row, in that order, that it is too similar to.
    """

    kept: NDArray[np.int64]
    dropped: NDArray[np.int64]
    dropped_for: NDArray[np.int64]


def keep_apart(
    vectors: NDArray[np.float32],
    order: NDArray[np.int64],
    bound: float,
    most: int | None = None,
    chain: Chain = "greedy",
    least: int = 0,
) -> Apart:
    """Go through rows and keep each row whose cosine to the rows before it is at most a bound.

    Blocks of rows are compared with the rows before the block in one product, and then with each other. The result is
    the same as with one row at a time.

    :param vectors: (n, d) float32 of unit norm.
    :param order: positions of the rows to look at, the first one first.
    :param bound: highest cosine that is allowed.
    :param most: most rows to keep; the search ends when it has them. None: no limit.
    :param chain: `greedy`: a row is compared with the kept rows before it. `released`: also with the dropped ones, as
        in SemDeDup's released code, so that only the first of a chain of similar rows is kept.
    :param least: the search ends when it can no longer keep this many rows.
    """
    enough = len(order) if most is None else most
    kept: list[int] = []
    compared: list[int] = []
    dropped: list[int] = []
    dropped_for: list[int] = []
    for start in range(0, len(order), _BLOCK_ROWS):
        if len(kept) >= enough or len(kept) + len(order) - start < least:
            break
        block = order[start : start + _BLOCK_ROWS]
        own = vectors[block]
        twins = _first_alike(own, vectors, np.asarray(compared, dtype=np.int64), bound)
        alike = exceeds(own, own, bound)
        for place, row in enumerate(block.tolist()):
            if len(kept) >= enough:
                break
            free = twins[place] < 0
            if free:
                kept.append(row)
            else:
                dropped.append(row)
                dropped_for.append(int(twins[place]))
            if free or chain == "released":
                compared.append(row)
                later = np.flatnonzero(alike[place, place + 1 :]) + place + 1
                twins[later[twins[later] < 0]] = row
    return Apart(*(np.asarray(rows, dtype=np.int64) for rows in (kept, dropped, dropped_for)))


def _first_alike(
    block: NDArray[np.float32], vectors: NDArray[np.float32], earlier: NDArray[np.int64], bound: float
) -> NDArray[np.int64]:
    """Return, for each row of a block, the first earlier row that it is too similar to; -1 if there is none."""
    found = np.full(len(block), -1, dtype=np.int64)
    for start in range(0, len(earlier), _COMPARED_ROWS):
        part = earlier[start : start + _COMPARED_ROWS]
        left = np.flatnonzero(found < 0)
        alike = exceeds(block[left], vectors[part], bound)
        some = alike.any(axis=1)
        found[left[some]] = part[alike[some].argmax(axis=1)]
    return found


def exceeds(a: NDArray[np.float32], b: NDArray[np.float32], bound: float) -> NDArray[np.bool_]:
    """Return whether the cosine of every row of `a` and every row of `b` is above a bound.

    Products near the bound are computed again in float64, so that equal rows get the same result at any position.

    :param a: (n, d) float32 of unit norm.
    :param b: (m, d) float32 of unit norm.
    :param bound: the bound; a cosine may exceed it by the rounding to float32.
    :return: (n, m) bool.
    """
    products = inner_products(a, b)
    above = products > bound
    products -= np.float32(bound)
    rows, columns = np.nonzero(np.abs(products, out=products) <= _UNSURE)
    for start in range(0, len(rows), _PAIRS):
        row, column = rows[start : start + _PAIRS], columns[start : start + _PAIRS]
        exact = np.einsum("ij,ij->i", a[row].astype(np.float64), b[column].astype(np.float64))
        above[row, column] = exact > bound + _SLACK
    return above
