"""Whether two scores order the same rows alike: Spearman's rank correlation, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.measures.bootstrap import Interval

__all__ = ["spearman", "spearman_interval"]

_RESAMPLES = 2_000


def spearman(first: Sequence[float] | NDArray[Any], second: Sequence[float] | NDArray[Any]) -> float:
    """Return Spearman's rank correlation, equal values with their mean rank.

    :param first: n finite values.
    :param second: n finite values.
    :return: from -1 to 1; 0 where all values of one side are the same, or there are fewer than two.
    """
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(first), rankdata(second)])
    if ranks.shape[1] < 2 or (np.ptp(ranks, axis=1) == 0).any():
        return 0.0
    return float(np.corrcoef(ranks)[0, 1])


def spearman_interval(
    first: Sequence[float] | NDArray[Any],
    second: Sequence[float] | NDArray[Any],
    confidence: float = 0.95,
    resamples: int = _RESAMPLES,
    seed: int = 42,
) -> Interval:
    """Return Spearman's rank correlation with its percentile bootstrap interval: rows are drawn, both values together.

    :param first: n finite values.
    :param second: n finite values.
    :param confidence: of the interval, in (0, 1).
    :param resamples: how often n rows are drawn with replacement, >= 1.
    :param seed: of the draws.
    :return: without an interval for fewer than two rows.
    """
    from scipy.stats import bootstrap

    estimate = spearman(first, second)
    if len(first) < 2:
        return Interval(estimate, None, None)
    found = bootstrap(
        (first, second),
        spearman,
        paired=True,
        vectorized=False,
        n_resamples=resamples,
        confidence_level=confidence,
        method="percentile",
        random_state=np.random.default_rng(seed),
    )
    return Interval(estimate, *map(float, found.confidence_interval))
