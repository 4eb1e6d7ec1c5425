"""All measures of several sets of rows, each with its interval and its difference to the first set."""

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
"""Rows of a set, and the values whose mean is its measure."""


@dataclass
class FileFigures:
    """What is found of a file.

    :param name: short.
    :param path: as it was given.
    :param rows: all of them.
    :param left_out: rows without an instruction or a response, which are in no measure.
    :param characters: of instructions, inputs and outputs, together.
    :param scored: rows that have a score.
    :param unscored: rows that were to be scored and could not be.
    :param values: measure to value.
    :param differences: measure to the difference to the first file; empty for that one.
    :param equal_values: values with as many rows as the smallest file has; empty where all have the same number.
    :param equal_differences: differences between these.
    :param topic_sizes: rows in each topic of the reference.
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
    """What the files are held against.

    :param path: where it is.
    :param rows: of it that have text.
    :param topics: that it was divided into.
    :param effective_topics: its own.
    """

    path: Path
    rows: int
    topics: int
    effective_topics: float


@dataclass(frozen=True)
class ScoreShares:
    """Shares of each file's scores between edges.

    :param edges: one more than shares.
    :param shares: a list for each file.
    """

    edges: list[float]
    shares: list[list[float]]


@dataclass
class Compared:
    """Sets of rows beside each other.

    :param files: in the order given.
    :param reference: None where there was none.
    :param equal_rows: rows of the smallest file, where the files are of different sizes.
    :param quality: the distribution of scores; None where nothing was scored.
    :param confidence: of all intervals.
    :param seed: of all draws.
    """

    files: list[FileFigures]
    reference: Reference | None
    equal_rows: int | None
    quality: ScoreShares | None
    confidence: float
    seed: int

    def fair_values(self, file: FileFigures) -> Figures:
        """Return a file's measures, with as many rows as the smallest file has in what grows with the number of rows.

        :param file: one of the files.
        """
        return {**file.values, **file.equal_values}

    def fair_differences(self, file: FileFigures) -> Figures:
        """Return a file's differences to the first, with as many rows of each in what grows with the number of rows.

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
    """A set while it is measured."""

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
    """Measure sets beside each other.

    Intervals say how far a figure may be off because the rows, or those of the reference, are the ones that they are
    and not others of their kind. They come from drawing among the rows of all files together, a row that is in two
    files once, so that differences are paired wherever files share rows; those of coverage from drawing among the rows
    of the reference too. Fewer than two rows, or scores, tell nothing about how they vary: there is no interval then,
    nor one of a difference to them. See `core.bootstrap` and `core.influence` for how.

    :param sets: k >= 1 of them; the first is what the others are held against.
    :param reference: for coverage and topics; None: without.
    :param vectors: of the queries of each set's samples, then of the reference's; unit norm.
    :param scores: for each set, position of a sample to its score, None where it could not be scored.
    :param confidence: of the intervals, in (0, 1).
    :param seed: of topics, subsets and draws.
    :param say: told what takes long.
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
    """Return masks of random subsets; none where the subset would be all."""
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
    """Fit topics as the grouper does by default."""
    topics = default_num_clusters(len(vectors))
    return fit_topics(vectors[fit_sample(ids, default_fit_sample_size(topics))], topics, seed=seed)


def _of_draws(one: _Set, parts_of: Callable[[NDArray[Any]], NDArray[np.float64]], values: NDArray[Any]) -> Parts:
    """Return parts of a measure's mean over a set's subsets; of all rows where there are none.

    :param parts_of: the measure's parts, of the values of some rows.
    :param values: of all rows.
    """
    if not one.draws:
        return _all_rows(parts_of(values))
    return _over_draws(one.draws, [parts_of(values[mask]) for mask in one.draws])


def _over_draws(draws: Sequence[NDArray[np.bool_]], parts: Sequence[NDArray[np.float64]]) -> Parts:
    """Return parts of the mean over subsets: a row counts as often as it was drawn.

    So the interval allows for the few subsets as well as for the rows: where they overlap little, the rows of the
    mean are many, where they overlap much, few.
    """
    mean = float(np.mean([own.mean() for own in parts]))
    values = np.full(len(draws[0]), mean)
    for mask, own in zip(draws, parts, strict=True):
        values[mask] += (own - own.mean()) * (len(mask) / (len(own) * len(draws)))
    return _all_rows(values)


def _row_intervals(
    sets: Sequence[_Set], parts: Mapping[str, Sequence[Parts]], confidence: float, seed: int
) -> dict[str, list[Interval]]:
    """Return for each measure the intervals of all sets, then those of their differences to the first."""
    unit_of: dict[str, int] = {}
    units = [np.array([unit_of.setdefault(one, len(unit_of)) for one in part.ids], dtype=np.int64) for part in sets]
    columns = []
    for of_sets in parts.values():
        own = []
        for rows_of, (rows, values) in zip(units, of_sets, strict=True):
            column = np.full(len(unit_of), values.mean())
            # Rows of other files add nothing to this one; the mean over all stays the measure.
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
    """Return intervals of values and differences without the ends of those that rest on fewer than two values."""
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
    """Take the mean distance away from files of a single row, and from what is compared with them."""
    undefined = Interval(math.nan, None, None)
    alone = [file.rows - file.left_out < 2 for file in files]
    for file, single in zip(files, alone, strict=True):
        if single:
            file.values["distance"] = undefined
        if file.differences and (single or alone[0]):
            file.differences["distance"] = undefined


def _within(interval: Interval, least: float, most: float) -> Interval:
    """Return an interval without values that the measure cannot have."""
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
    """Note coverage, which varies with the rows of the reference and with those of the file."""
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
    """Note what is found with as many rows of each."""
    for file, interval in zip(files, intervals, strict=False):
        file.equal_values[key] = _within(interval, *_RANGES[key])
    for file, interval in zip(files[1:], intervals[len(files) :], strict=True):
        file.equal_differences[key] = interval


def _novelsum(vectors: NDArray[np.float32], weights: NDArray[np.float64]) -> float:
    """Return NovelSum; NaN for a single row, which is at no distance from others."""
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
