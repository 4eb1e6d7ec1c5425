"""Which rows of a dataset stay when only so many may: random ones, or those with the highest or lowest values."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.selection.scales import finite_numbers


def random_order(row_ids: Sequence[str], seed: int) -> NDArray[np.int64]:
    """Put rows in a random order, by what they hold and not by where they stand.

    :param row_ids: n ids, a different one for every row.
    :param seed: another one gives another order.
    :return: (n,) positions; the same rows come first in whatever order they come.
    """
    keys = np.asarray([hashlib.sha256(f"{seed} {row_id}".encode()).digest()[:8] for row_id in row_ids], dtype="S8")
    return np.argsort(keys, kind="stable").astype(np.int64)


def extreme_order(values: Sequence[Any], highest: bool) -> NDArray[np.int64]:
    """Put rows in the order of their values.

    :param values: n values; what is no finite number is left out.
    :param highest: whether the highest come first, else the lowest.
    :return: positions of the rows that have a number. Of equal values the first ones come first.
    """
    numbers = finite_numbers(values)
    usable = np.flatnonzero(~np.isnan(numbers))
    wanted = -numbers[usable] if highest else numbers[usable]
    return usable[np.argsort(wanted, kind="stable")].astype(np.int64)
