"""All measures of several sets of rows, with intervals and differences to the first set."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.compare.measures import BY_KEY
from mergeit_ops.compare.reading import RowSet, short_names
from mergeit_ops.core.measures.bootstrap import Interval, mean_intervals, with_both_errors
from mergeit_ops.core.measures.diversity import NearDuplicates, Nearest, near_duplicates, nearest_two
from mergeit_ops.core.measures.novelsum import density_weights, novelsum
from mergeit_ops.core.measures.pseudo_values import (
    coverage_pseudo_values,
    distance_pseudo_values,
    effective_topic_pseudo_values,
    redundancy_pseudo_values,
    vendi_pseudo_values,
)
from mergeit_ops.core.measures.rarefaction import redundancy_of_subsets, topics_of_subsets
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.topics.clustering import (
    TopicModel,
    default_fit_sample_size,
    default_num_clusters,
    fit_sample,
    fit_topics,
)

__all__ = ["Compared", "FileFigures", "Reference", "ScoreShares", "compare_sets"]

DRAWS = 5
_BINS = (8, 40)
_RANGES = {
    "coverage": (-1.0, 1.0),
    "redundancy": (0.0, 1.0),
    "distance": (0.0, 2.0),
    "vendi": (1.0, math.inf),
    "effective_topics": (1.0, math.inf),
}

Figures = dict[str, Interval]
Parts = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Row indices of a set, and one value for each of these rows. The mean of the values is the measure."""


@dataclass
class FileFigures:
    """The figures of a file.

    :param name: short name.
    :param path: path as given.
    :param rows: number of all rows.
    :param left_out: number of rows without an instruction or a response. No measure includes them.
    :param characters: total characters of instructions, inputs and outputs.
    :param scored: number of rows with a score.
    :param unscored: number of rows that the scorer could not score.
    :param values: value of each measure, by its key.
    :param differences: difference of each measure to the first file, by its key; empty for the first file.
    :param equal_values: values with the number of rows of the smallest file, for measures that depend on it; empty if
        all files have the same number.
    :param equal_differences: differences of `equal_values` to the first file.
    :param topic_sizes: number of rows in each topic of the reference.
    :param unit: what a row is, in the plural: `rows` or `conversations`.
    """

    name: str
    path: Path
    rows: int
    left_out: int
    characters: dict[str, int]
    scored: int = 0
    unscored: int = 0
    values: Figures = field(default_factory=dict)
    differences: Figures = field(default_factory=dict)
    equal_values: Figures = field(default_factory=dict)
    equal_differences: Figures = field(default_factory=dict)
    topic_sizes: list[int] = field(default_factory=list)
    unit: str = "rows"


@dataclass(frozen=True)
class Reference:
    """The reference of a comparison.

    :param path: path of the reference.
    :param rows: number of rows with text.
    :param topics: number of its topics.
    :param effective_topics: effective number of its topics.
    """

    path: Path
    rows: int
    topics: int
    effective_topics: float


@dataclass(frozen=True)
class ScoreShares:
    """Histograms of the scores of each file.

    :param edges: n + 1 bin edges, ascending.
    :param shares: n shares in [0, 1] for each file.
    """

    edges: list[float]
    shares: list[list[float]]


@dataclass
class Compared:
    """The results of a comparison.

    :param files: figures of each file, in the given order.
    :param reference: the reference; None: none was given.
    :param equal_rows: number of rows of the smallest file; None: all files have the same number.
    :param quality: distribution of the scores; None: nothing was scored.
    :param confidence: confidence of all intervals.
    :param seed: seed of all draws.
    """

    files: list[FileFigures]
    reference: Reference | None
    equal_rows: int | None
    quality: ScoreShares | None
    confidence: float
    seed: int

    def fair_values(self, file: FileFigures) -> Figures:
        """Return the measures of a file. Those that depend on the number of rows use the rows of the smallest file.

        :param file: one of the files.
        """
        return {**file.values, **file.equal_values}

    def fair_differences(self, file: FileFigures) -> Figures:
        """Return the differences of a file to the first, from the same values as `fair_values`.

        :param file: one of the files.
        """
        if self.equal_rows is None:
            return file.differences
        return {
            key: file.equal_differences[key] if BY_KEY[key].grows else difference
            for key, difference in file.differences.items()
        }


@dataclass
class _Set:
    """A set and intermediate results of its measures."""

    ids: list[str]
    vectors: NDArray[np.float32]
    draws: list[NDArray[np.bool_]]
    twins: NearDuplicates | None = None
    topics: NDArray[np.int64] | None = None


def compare_sets(
    sets: Sequence[RowSet],
    reference: RowSet | None,
    vectors: Sequence[NDArray[np.float32]],
    scores: Sequence[Mapping[int, float | None]],
    *,
    confidence: float = 0.95,
    seed: int = 42,
    say: Callable[[str], None] = lambda line: None,
) -> Compared:
    """Measure several sets and compare them with the first.

    Intervals cover other rows of the same kinds. They come from drawing rows with replacement from all files together.
    A row that is in two files is drawn for both, so differences are paired by the rows that files share. Intervals of
    coverage also cover other rows of the reference. A measure from fewer than two rows or scores has no interval, and
    neither has a difference to it. See `core.measures.bootstrap` and `core.measures.pseudo_values`.

    :param sets: k >= 1 sets. The others are compared with the first.
    :param reference: reference for coverage and topics; None: without these measures.
    :param vectors: for each set, (n, d) vectors of its queries with unit norm; the last array is that of the reference,
        if there is one.
    :param scores: for each set, score by position of the sample; None: it could not be scored.
    :param confidence: confidence of the intervals, in (0, 1).
    :param seed: seed of topics, subsets and draws.
    :param say: called with each line of progress.
    :return: the figures of each set.
    """
    smallest = min(len(one.samples) for one in sets)
    equal_rows = smallest if any(len(one.samples) > smallest for one in sets) else None
    measured = [_Set(one.ids, own, _draws(len(own), smallest, seed)) for one, own in zip(sets, vectors, strict=False)]
    files = [
        FileFigures(name, one.path, one.rows, one.left_out, _characters(one.samples), unit=one.unit)
        for name, one in zip(short_names([one.path for one in sets]), sets, strict=True)
    ]
    parts: dict[str, list[Parts]] = {}
    at_equal: dict[str, list[Parts]] = {}
    known = [{row: score for row, score in found.items() if score is not None} for found in scores]
    for file, found, asked in zip(files, known, scores, strict=True):
        file.scored, file.unscored = len(found), len(asked) - len(found)
    if all(known):
        parts["quality"] = [_quality_parts(found) for found in known]
    say("Looking for near copies ...")
    for one in measured:
        one.twins = near_duplicates(one.vectors)
    told = None
    if reference is not None:
        say(f"Dividing {len(reference.samples):,} rows of the reference into topics ...")
        model = _topics(reference.ids, vectors[-1], seed)
        own_topics = model.assign(vectors[-1])
        for file, one in zip(files, measured, strict=True):
            one.topics = model.assign(one.vectors)
            file.topic_sizes = np.bincount(one.topics, minlength=model.num_clusters).tolist()
        effective = float(effective_topic_pseudo_values(own_topics).mean())
        told = Reference(reference.path, len(reference.samples), len(np.unique(own_topics)), effective)
        parts["effective_topics"] = [_all_rows(effective_topic_pseudo_values(_known(one.topics))) for one in measured]
        at_equal["effective_topics"] = [
            _of_draws(one, effective_topic_pseudo_values, _known(one.topics)) for one in measured
        ]
    say("Measuring variety ...")
    parts["vendi"] = [_all_rows(vendi_pseudo_values(one.vectors)) for one in measured]
    if equal_rows is not None:
        at_equal["vendi"] = [_of_draws(one, vendi_pseudo_values, one.vectors) for one in measured]
    parts["distance"] = [_all_rows(distance_pseudo_values(one.vectors)) for one in measured]
    parts["redundancy"] = [_all_rows(redundancy_pseudo_values(one.vectors, twins=one.twins)) for one in measured]
    weights = [density_weights(one.vectors, vectors[-1] if reference is not None else one.vectors) for one in measured]
    say("Drawing intervals ...")
    for key, intervals in _row_intervals(measured, parts, confidence, seed).items():
        _put(files, key, intervals)
    _leave_out_without_pairs(files)
    _add_plain(files, "novelsum", [_novelsum(one.vectors, own) for one, own in zip(measured, weights, strict=True)])
    if all(known):
        _add_plain(files, "quality_spread", [float(np.std(list(found.values()))) for found in known])
    if reference is not None:
        _add_plain(files, "topics_reached", [float(np.count_nonzero(file.topic_sizes)) for file in files])
        say(f"Covering {len(reference.samples):,} rows of the reference ...")
        _add_coverage(files, measured, vectors[-1], equal_rows is not None, confidence, seed)
    if equal_rows is not None:
        for key, intervals in _row_intervals(measured, at_equal, confidence, seed).items():
            _put_equal(files, key, intervals)
        _add_equal(files, measured, equal_rows, weights)
    return Compared(files, told, equal_rows, _score_shares(known) if all(known) else None, confidence, seed)


def _draws(rows: int, size: int, seed: int) -> list[NDArray[np.bool_]]:
    """Return masks of random subsets; empty if the subset is the whole set."""
    if rows == size:
        return []
    rng = np.random.default_rng(seed)
    masks = np.zeros((DRAWS, rows), dtype=bool)
    for mask in masks:
        mask[rng.permutation(rows)[:size]] = True
    return list(masks)


def _characters(samples: Sequence[Sample]) -> dict[str, int]:
    return {
        "instruction": sum(len(sample.instruction) for sample in samples),
        "input": sum(len(sample.input) for sample in samples),
        "output": sum(len(sample.output) for sample in samples),
    }


def _quality_parts(scores: Mapping[int, float]) -> Parts:
    return np.array(list(scores), dtype=np.int64), np.array(list(scores.values()), dtype=np.float64)


def _all_rows(values: NDArray[np.float64]) -> Parts:
    return np.arange(len(values)), values


def _known(topics: NDArray[np.int64] | None) -> NDArray[np.int64]:
    assert topics is not None
    return topics


def _topics(ids: Sequence[str], vectors: NDArray[np.float32], seed: int) -> TopicModel:
    """Fit topics with the defaults of the grouper."""
    topics = default_num_clusters(len(vectors))
    return fit_topics(vectors[fit_sample(ids, default_fit_sample_size(topics))], topics, seed=seed)


def _of_draws(one: _Set, parts_of: Callable[[NDArray[Any]], NDArray[np.float64]], values: NDArray[Any]) -> Parts:
    """Return the values of a measure, as means over the subsets of a set; over all rows if it has no subsets.

    :param parts_of: function from the data of some rows to one value for each row.
    :param values: data of all rows.
    """
    if not one.draws:
        return _all_rows(parts_of(values))
    return _over_draws(one.draws, [parts_of(values[mask]) for mask in one.draws])


def _over_draws(draws: Sequence[NDArray[np.bool_]], parts: Sequence[NDArray[np.float64]]) -> Parts:
    """Return one value for each row. Their mean is the mean over the subsets; a row counts as often as it was drawn.

    So the interval covers the draw of the subsets and the rows: if subsets overlap little, the mean has more different
    rows than if they overlap much.
    """
    mean = float(np.mean([own.mean() for own in parts]))
    values = np.full(len(draws[0]), mean)
    for mask, own in zip(draws, parts, strict=True):
        values[mask] += (own - own.mean()) * (len(mask) / (len(own) * len(draws)))
    return _all_rows(values)


def _row_intervals(
    sets: Sequence[_Set], parts: Mapping[str, Sequence[Parts]], confidence: float, seed: int
) -> dict[str, list[Interval]]:
    """Return for each measure the intervals of all sets, followed by those of the differences to the first set."""
    unit_of: dict[str, int] = {}
    units = [np.array([unit_of.setdefault(one, len(unit_of)) for one in part.ids], dtype=np.int64) for part in sets]
    columns = []
    for of_sets in parts.values():
        own = []
        for rows_of, (rows, values) in zip(units, of_sets, strict=True):
            column = np.full(len(unit_of), values.mean())
            # Rows of other files have the mean, so the mean over all rows is still the measure.
            column[rows_of[rows]] += (values - values.mean()) * (len(unit_of) / len(values))
            own.append(column)
        columns += _with_differences(own)
    intervals = mean_intervals(np.stack(columns, axis=1), confidence, seed=seed)
    width = 2 * len(sets) - 1
    return {
        key: _told(intervals[number * width : (number + 1) * width], [len(values) for _, values in of_sets])
        for number, (key, of_sets) in enumerate(parts.items())
    }


def _told(intervals: Sequence[Interval], counts: Sequence[int]) -> list[Interval]:
    """Remove the ends of intervals that come from fewer than two values."""
    enough = [count > 1 for count in counts]
    enough += [enough[0] and other for other in enough[1:]]
    return [
        interval if known else Interval(interval.estimate, None, None)
        for interval, known in zip(intervals, enough, strict=True)
    ]


def _with_differences(columns: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    return [*columns, *(column - columns[0] for column in columns[1:])]


def _put(files: Sequence[FileFigures], key: str, intervals: Sequence[Interval]) -> None:
    for file, interval in zip(files, intervals, strict=False):
        file.values[key] = _within(interval, *_RANGES.get(key, (-math.inf, math.inf)))
    for file, interval in zip(files[1:], intervals[len(files) :], strict=True):
        file.differences[key] = interval


def _leave_out_without_pairs(files: Sequence[FileFigures]) -> None:
    """Make the mean distance undefined for files with a single row, and for differences to them."""
    undefined = Interval(math.nan, None, None)
    alone = [file.rows - file.left_out < 2 for file in files]
    for file, single in zip(files, alone, strict=True):
        if single:
            file.values["distance"] = undefined
        if file.differences and (single or alone[0]):
            file.differences["distance"] = undefined


def _within(interval: Interval, least: float, most: float) -> Interval:
    """Return an interval limited to the possible values of the measure."""
    if interval.low is None or interval.high is None:
        return interval
    return Interval(interval.estimate, max(least, interval.low), min(most, interval.high))


def _add_plain(files: Sequence[FileFigures], key: str, values: Sequence[float]) -> None:
    _put(files, key, [Interval(float(value), None, None) for value in _and_differences(values)])


def _and_differences(values: Sequence[float]) -> list[float]:
    return [*values, *(value - values[0] for value in values[1:])]


def _add_coverage(
    files: Sequence[FileFigures],
    sets: Sequence[_Set],
    pool: NDArray[np.float32],
    equal: bool,
    confidence: float,
    seed: int,
) -> None:
    """Add coverage. Its intervals cover other rows of the reference and other rows of the file."""
    columns: dict[str, list[NDArray[np.float64]]] = {"whole": [], "equal": []}
    parts: dict[str, list[Parts]] = {"whole": [], "equal": []}
    for one in sets:
        whole, *thinned = nearest_two(pool, one.vectors, one.draws)
        columns["whole"].append(whole.best.astype(np.float64))
        parts["whole"].append(_all_rows(_worth(whole, np.arange(len(one.ids)))))
        if thinned:
            columns["equal"].append(np.mean([draw.best for draw in thinned], axis=0, dtype=np.float64))
            worth = [_worth(draw, np.flatnonzero(mask)) for draw, mask in zip(thinned, one.draws, strict=True)]
            parts["equal"].append(_over_draws(one.draws, worth))
        else:
            columns["equal"].append(columns["whole"][-1])
            parts["equal"].append(parts["whole"][-1])
    of_rows = _row_intervals(sets, parts, confidence, seed)
    for key, put in (("whole", _put), *((("equal", _put_equal),) if equal else ())):
        of_pool = mean_intervals(np.stack(_with_differences(columns[key]), axis=1), confidence, seed=seed)
        put(files, "coverage", list(map(with_both_errors, of_pool, of_rows[key])))


def _worth(nearest: Nearest, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    return coverage_pseudo_values(nearest, rows) if len(rows) > 1 else np.full(1, nearest.best.mean(dtype=np.float64))


def _put_equal(files: Sequence[FileFigures], key: str, intervals: Sequence[Interval]) -> None:
    """Add figures with equal numbers of rows."""
    for file, interval in zip(files, intervals, strict=False):
        file.equal_values[key] = _within(interval, *_RANGES[key])
    for file, interval in zip(files[1:], intervals[len(files) :], strict=True):
        file.equal_differences[key] = interval


def _novelsum(vectors: NDArray[np.float32], weights: NDArray[np.float64]) -> float:
    """Return NovelSum; NaN for a single row, which has no distance to others."""
    return novelsum(vectors, weights) if len(vectors) > 1 else math.nan


def _add_equal(
    files: Sequence[FileFigures], sets: Sequence[_Set], size: int, weights: Sequence[NDArray[np.float64]]
) -> None:
    found: dict[str, list[float]] = {"redundancy": [], "novelsum": []}
    for one, own in zip(sets, weights, strict=True):
        draws = one.draws or [np.ones(len(own), dtype=bool)]
        found["novelsum"].append(float(np.mean([_novelsum(one.vectors[mask], own[mask]) for mask in draws])))
        assert one.twins is not None
        found["redundancy"].append(redundancy_of_subsets(one.twins.counts, size))
        if one.topics is not None:
            sizes = np.unique(one.topics, return_counts=True)[1]
            found.setdefault("topics_reached", []).append(topics_of_subsets(sizes, size))
    for key, values in found.items():
        for file, value in zip(files, values, strict=True):
            file.equal_values[key] = Interval(value, None, None)
        for file, value in zip(files[1:], values[1:], strict=True):
            file.equal_differences[key] = Interval(value - values[0], None, None)


def _score_shares(scores: Sequence[Mapping[int, float]]) -> ScoreShares:
    values = [np.array(list(found.values())) for found in scores]
    bins = int(np.clip(np.ceil(2 * min(map(len, values)) ** (1 / 3)), *_BINS))  # Rice's rule
    edges = np.histogram_bin_edges(np.concatenate(values), bins=bins)
    shares = [np.histogram(own, bins=edges)[0] / len(own) for own in values]
    return ScoreShares(edges.tolist(), [share.tolist() for share in shares])
