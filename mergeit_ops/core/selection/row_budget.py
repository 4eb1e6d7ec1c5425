"""Which rows of a dataset stay when only so many may: random ones, or those with the highest or lowest values."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.selection.scales import finite_numbers


def random_rows(row_ids: Sequence[str], count: int, seed: int) -> NDArray[np.int64]:
    """Choose rows uniformly, by what they hold and not by where they stand.

    :param row_ids: n ids, a different one for every row.
    :param count: rows wanted.
    :param seed: another one draws other rows.
    :return: min(n, count) positions, ascending; the same rows in whatever order they come.
    """
    keys = np.asarray([hashlib.sha256(f"{seed} {row_id}".encode()).digest()[:8] for row_id in row_ids], dtype="S8")
    return np.sort(np.argsort(keys, kind="stable")[:count]).astype(np.int64)


def extreme_rows(values: Sequence[Any], count: int, highest: bool) -> NDArray[np.int64]:
    """Choose the rows with the highest, or the lowest, values.

    :param values: n values; what is no finite number is never chosen.
    :param count: rows wanted.
    :param highest: whether high values are wanted.
    :return: positions, ascending; `count` of them, or as many as have a number. Of equal values the first ones.
    """
    numbers = finite_numbers(values)
    usable = np.flatnonzero(~np.isnan(numbers))
    wanted = -numbers[usable] if highest else numbers[usable]
    return np.sort(usable[np.argsort(wanted, kind="stable")[:count]]).astype(np.int64)
