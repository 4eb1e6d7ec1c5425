"""What came out beside what went in, and beside as many rows drawn from what went in, in the embedding space."""

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
    "What came out is not compared with what went in: no row of the export is a merge, so the export does not hold "
    "what went in. --input says where that is."
)
_TOO_FEW = "What came out is not compared with what went in: too few rows are sampled; --sample takes more."


@dataclass(frozen=True)
class SetMeasures:
    """How a set of rows does.

    :param name: which.
    :param rows: measured.
    :param coverage: of the pool by it, in [-1, 1].
    :param vendi: effective number of different rows.
    :param redundancy: share of rows with a near duplicate among them.
    :param distance: mean of 1 - cosine over all pairs.
    """

    name: str
    rows: int
    coverage: float
    vendi: float
    redundancy: float
    distance: float


@dataclass(frozen=True)
class PoolComparison:
    """What came out beside what went in, and beside as many rows drawn from what went in.

    :param pool: what went in.
    :param drawn: means over the draws.
    :param result: what came out.
    :param share: of what went in that was measured, in (0, 1]. What came out is thinned out by the same draw: a row
        that is in both is measured in both or in neither.
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
    """Return the section; None, with a note that says why, where what went in is not known or too few rows are sampled.

    :param run: the run.
    """
    if run.sample == 0:
        run.notes.append("The map and the comparison with what went in are left out, as --sample 0 asks.")
    space, found = run.space, run.survey
    if space is None:
        return None
    if not len(space.pool):
        unknown = run.given is None and found.rows_entered == found.rows
        run.notes.append(_UNKNOWN if unknown else _TOO_FEW)
        return None
    run.say("Comparing with what went in ...")
    reference = "what entered the merger" if run.given is None else "the input"
    names = (reference[:1].upper() + reference[1:], "As many rows drawn at random from it", "The export")
    comparison = compare(space.pool, space.pool_rows, space.result, space.covering, found.rows, names, run.seed)
    values = {"comparison": comparison, "reference": reference, "from_export": run.given is None, "draws": DRAWS}
    return Section("What came out beside what went in", "In and out", values)


def compare(
    pool: NDArray[np.float32],
    pool_rows: int,
    result: NDArray[np.float32],
    covering: NDArray[np.float32],
    result_rows: int,
    names: tuple[str, str, str],
    seed: int = 42,
) -> PoolComparison:
    """Measure what came out beside what went in.

    :param pool: (n, d) a sample of what went in, n >= 1.
    :param pool_rows: rows that it was drawn from.
    :param result: (m, d) the rows of what came out that the same draw has hit, m >= 1.
    :param covering: (c, d) those, and the merges of which it has hit a parent: what stands for the rows of the pool.
    :param result_rows: all rows that came out.
    :param names: of what went in, of the draws, of what came out.
    :param seed: of the draws.
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
    # Row by row of what went in: a row that is easy to cover is so for both.
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

    :param cosines: of each row that went in to the row that stands for it.
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
    """Return the interval in which the value of another draw lies."""
    mean = float(np.mean(values))
    reach = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * float(np.std(values, ddof=1)) * sqrt(1 + 1 / len(values))
    return Interval(mean, mean - reach, mean + reach)
