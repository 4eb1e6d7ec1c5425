"""How similarly two scores order rows: Spearman's rank correlation, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.measures.bootstrap import Interval

__all__ = ["spearman", "spearman_interval"]

_RESAMPLES = 2_000
_AT_ONCE = 100


def spearman(first: Sequence[float] | NDArray[Any], second: Sequence[float] | NDArray[Any]) -> float:
    """Return Spearman's rank correlation, equal values with their mean rank.

    :param first: n finite values.
    :param second: n finite values.
    :return: from -1 to 1; 0 if all values of one side are the same, or there are fewer than two.
    """
    return float(_along(np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)))


def spearman_interval(
    first: Sequence[float] | NDArray[Any],
    second: Sequence[float] | NDArray[Any],
    confidence: float = 0.95,
    resamples: int = _RESAMPLES,
    seed: int = 42,
) -> Interval:
    """Return Spearman's rank correlation with its percentile bootstrap interval, for which rows are drawn with both
    values.

    :param first: n finite values.
    :param second: n finite values.
    :param confidence: confidence of the interval, in (0, 1).
    :param resamples: number of draws of n rows with replacement, >= 1.
    :param seed: seed of the draws.
    :return: the correlation; without an interval for fewer than two rows.
    """
    from scipy.stats import bootstrap

    estimate = spearman(first, second)
    if len(first) < 2:
        return Interval(estimate, None, None)
    found = bootstrap(
        (first, second),
        _along,
        paired=True,
        vectorized=True,
        batch=_AT_ONCE,
        n_resamples=resamples,
        confidence_level=confidence,
        method="percentile",
        random_state=np.random.default_rng(seed),
    )
    return Interval(estimate, *map(float, found.confidence_interval))


def _along(first: NDArray[np.float64], second: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Return the rank correlation of each pair of rows."""
    from scipy.stats import rankdata

    if first.shape[axis] == 0:
        return np.zeros(first.shape[:-1])
    ranks = [rankdata(values, axis=axis) for values in (first, second)]
    left, right = (values - values.mean(axis=axis, keepdims=True) for values in ranks)
    norms = np.sqrt((left**2).sum(axis=axis) * (right**2).sum(axis=axis))
    return np.where(norms > 0, (left * right).sum(axis=axis) / np.where(norms > 0, norms, 1.0), 0.0)
