"""Which rows of a dataset stay within a budget: random rows, or those with the highest or lowest values."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.selection.scales import finite_numbers


def random_order(row_ids: Sequence[str], seed: int) -> NDArray[np.int64]:
    """Put rows in a random order that depends on their content, not on their positions.

    :param row_ids: n different ids.
    :param seed: seed of the order.
    :return: (n,) positions; the same rows come first in any order of the input.
    """
    keys = np.asarray([hashlib.sha256(f"{seed} {row_id}".encode()).digest()[:8] for row_id in row_ids], dtype="S8")
    return np.argsort(keys, kind="stable").astype(np.int64)


def extreme_order(values: Sequence[Any], highest: bool) -> NDArray[np.int64]:
    """Put rows in the order of their values.

    :param values: n values; values that are not finite numbers are left out.
    :param highest: whether the highest values come first; otherwise the lowest.
    :return: positions of the rows that have a number. Ties keep their order.
    """
    numbers = finite_numbers(values)
    usable = np.flatnonzero(~np.isnan(numbers))
    wanted = -numbers[usable] if highest else numbers[usable]
    return usable[np.argsort(wanted, kind="stable")].astype(np.int64)
