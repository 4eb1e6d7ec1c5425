"""What a selection method returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Selection"]


@dataclass(frozen=True)
class Selection:
    """Chosen rows, best first.

    :param indices: (k,) int64 row positions in the order they were chosen.
    :param gains: (k,) float64: what each row adds to the objective. If the gains of a method never rise, they can
        split a budget among topics.
    """

    indices: NDArray[np.int64]
    gains: NDArray[np.float64]
