"""The rows with the highest values."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

V = TypeVar("V", np.float32, np.float64)


def highest(values: NDArray[V], count: int) -> NDArray[np.int64]:
    """Return the positions of the highest values, ascending. The first position of the maximum is always among them.

    :param values: (n,) values.
    :param count: approximate number of positions.
    """
    if count >= len(values):
        return np.arange(len(values))
    return np.union1d(np.argpartition(-values, count)[:count], [int(values.argmax())])
