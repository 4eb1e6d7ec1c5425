"""The export compared with the input and with the same number of random input rows, in the embedding space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.measures.bootstrap import Interval, mean_interval, with_both_errors
from mergeit_ops.core.measures.diversity import best_cosines, mean_pairwise_distance, redundancy, vendi_score
from mergeit_ops.core.measures.pseudo_values import redundancy_pseudo_values
from mergeit_ops.report.section import Section
from mergeit_ops.report.surveyed_run import SurveyedRun

__all__ = ["CONFIDENCE", "DRAWS", "PoolComparison", "SetMeasures", "build", "compare"]

DRAWS = 20
CONFIDENCE = 0.95
_UNKNOWN = (
    "The export is not compared with the input: the export has no merges, so it does not show what the input was. "
    "Name the input with --input."
)
_TOO_FEW = "The export is not compared with the input: too few rows are sampled. Raise --sample."


@dataclass(frozen=True)
class SetMeasures:
    """The measures of a set of rows.

    :param name: name of the set.
    :param rows: number of measured rows.
    :param coverage: coverage of the pool by the set, in [-1, 1].
    :param vendi: effective number of different rows.
    :param redundancy: share of rows with a near duplicate in the set, in [0, 1].
    :param distance: mean of 1 - cosine over all pairs, in [0, 2].
    """

    name: str
    rows: int
    coverage: float
    vendi: float
    redundancy: float
    distance: float


@dataclass(frozen=True)
class PoolComparison:
    """The export compared with the input and with the same number of random input rows.

    :param pool: measures of the input.
    :param drawn: measures of random input rows, means over the draws.
    :param result: measures of the export.
    :param share: measured share of the input, in (0, 1]. The same draw selects the rows of the export: a row that is in
        both is measured in both or in neither.
    :param coverage_gain: coverage of the export minus that of the same number of random rows. Its interval covers other
        draws of random rows, and other rows of the input.
    :param redundancy_gain: redundancy of the export minus that of the same number of random rows. Its interval covers
        other draws of random rows, and other rows of the export.
    """

    pool: SetMeasures
    drawn: SetMeasures
    result: SetMeasures
    share: float
    coverage_gain: Interval
    redundancy_gain: Interval


def build(run: SurveyedRun) -> Section | None:
    """Return the section.

    :param run: the run.
    :return: the section, or None if the input is not known or too few rows are sampled. A note then says why.
    """
    if run.sample == 0:
        run.notes.append("The map and the comparison with the input are left out because of --sample 0.")
    space, found = run.space, run.survey
    if space is None:
        return None
    if not len(space.pool):
        unknown = run.given is None and found.rows_entered == found.rows
        run.notes.append(_UNKNOWN if unknown else _TOO_FEW)
        return None
    run.say("Comparing with the input ...")
    reference = "what entered the merger" if run.given is None else "the input"
    names = (reference[:1].upper() + reference[1:], "As many rows drawn at random from it", "The export")
    comparison = compare(space.pool, space.pool_rows, space.result, space.covering, found.rows, names, run.seed)
    values = {"comparison": comparison, "reference": reference, "from_export": run.given is None, "draws": DRAWS}
    return Section("The export compared with the input", "In and out", values)


def compare(
    pool: NDArray[np.float32],
    pool_rows: int,
    result: NDArray[np.float32],
    covering: NDArray[np.float32],
    result_rows: int,
    names: tuple[str, str, str],
    seed: int = 42,
) -> PoolComparison:
    """Compare the export with the input and with random rows of the input.

    :param pool: (n, d) sampled rows of the input, n >= 1.
    :param pool_rows: number of rows that the pool was drawn from.
    :param result: (m, d) rows of the export that the same draw selects, m >= 1.
    :param covering: (c, d) `result`, and the merges with a parent in the pool. These rows cover the pool.
    :param result_rows: number of all rows of the export.
    :param names: names of the input, the random rows, and the export.
    :param seed: seed of the draws.
    """
    rng = np.random.default_rng(seed)
    share = len(pool) / pool_rows
    size = max(1, min(round(share * result_rows), len(pool)))
    sets = [pool[rng.permutation(len(pool))[:size]] for _ in range(DRAWS)]
    cosines = [best_cosines(pool, rows) for rows in sets]
    draws = [_measured("", rows, own) for rows, own in zip(sets, cosines, strict=True)]
    drawn = SetMeasures(
        names[1],
        size,
        float(np.mean([draw.coverage for draw in draws])),
        float(np.mean([draw.vendi for draw in draws])),
        float(np.mean([draw.redundancy for draw in draws])),
        float(np.mean([draw.distance for draw in draws])),
    )
    own = best_cosines(pool, covering)
    came_out = _measured(names[2], result, own)
    # Paired by row of the input, because a row that is easy to cover is easy for both sets.
    gains = own.astype(np.float64) - np.mean(cosines, axis=0, dtype=np.float64)
    repeats = mean_interval(redundancy_pseudo_values(result) - drawn.redundancy, CONFIDENCE, seed=seed)
    return PoolComparison(
        _measured(names[0], pool, best_cosines(pool, pool)),
        drawn,
        came_out,
        share,
        with_both_errors(mean_interval(gains, CONFIDENCE, seed=seed), _of_draws([draw.coverage for draw in draws])),
        with_both_errors(repeats, _of_draws([draw.redundancy for draw in draws])),
    )


def _measured(name: str, rows: NDArray[np.float32], cosines: NDArray[np.float32]) -> SetMeasures:
    """Measure a set of rows.

    :param cosines: (n,) cosine of each row of the input to the nearest row of the set.
    """
    return SetMeasures(
        name,
        len(rows),
        min(1.0, float(cosines.mean(dtype=np.float64))),
        vendi_score(rows),
        redundancy(rows),
        mean_pairwise_distance(rows),
    )


def _of_draws(values: Sequence[float]) -> Interval:
    """Return the mean over the draws with a prediction interval for another draw."""
    mean = float(np.mean(values))
    reach = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * float(np.std(values, ddof=1)) * sqrt(1 + 1 / len(values))
    return Interval(mean, mean - reach, mean + reach)
