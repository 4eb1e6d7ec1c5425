"""Score the rows of a table, each separately."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
from datasets import Features

from mergeit_ops.core.columns import STATS
from mergeit_ops.core.formats.views import View
from mergeit_ops.core.gate.comparison import Bounds
from mergeit_ops.core.rows.identity import content_digest
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.dataset.stats import stats_of
from mergeit_ops.dataset.tables import JSON, json_array, set_column
from mergeit_ops.errors import named
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.scorers import RowScorer
from mergeit_ops.scorers.scoring import measured_scores

__all__ = ["DIGEST_LENGTH", "MADE_BY", "STATUS", "ScoreJob", "Scored", "ScoringJob", "stat_entries", "stat_types"]

STATUS, MADE_BY = "_status", "_made_by"
"""Suffixes of the keys beside a stat: its status (`ok`, or why there is no score), and a digest of its maker and
row."""

DIGEST_LENGTH = 16  # hexadecimal digits


def _nothing(stays: Sequence[bool]) -> dict[str, Any]:
    return {}


def stat_types(stats: Iterable[str]) -> dict[str, pa.DataType]:
    """Return the Arrow types of the keys of some stats."""
    ends: dict[str, pa.DataType] = {"": pa.float64(), STATUS: pa.string(), MADE_BY: pa.string()}
    return {name + end: kind for name in stats for end, kind in ends.items()}


def stat_entries(stats: Sequence[str], scores: Sequence[Score], made_by: str | None) -> dict[str, Any]:
    """Return the stats of a row.

    :param stats: the key of each score.
    :param scores: scores of the row.
    :param made_by: digest of what made the scores; None if they are not marked.
    """
    entries: dict[str, Any] = {}
    for name, score in zip(stats, scores, strict=True):
        entries |= {name: score.value, name + STATUS: score.status}
        if made_by is not None:
            entries[name + MADE_BY] = made_by
    return entries


@dataclass(frozen=True)
class Scored:
    """Rows with their stats.

    :param table: the rows, stats as JSON.
    :param figures: for the record.
    :param details: function that returns further entries of the record, given which rows stay.
    """

    table: pa.Table
    figures: Mapping[str, Any]
    details: Callable[[Sequence[bool]], dict[str, Any]] = _nothing


class ScoringJob(Protocol):
    """Scores the rows of a table."""

    def features(self, features: Features) -> Features:
        """Return the columns and types of the resulting rows.

        :param features: columns and types of the input rows.
        """
        ...

    def tables(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Divide the tables of a dataset as `run` needs them.

        :param tables: flat rows, in order.
        """
        ...

    def run(self, table: pa.Table) -> Scored:
        """Score rows.

        :param table: flat rows.
        :raises ScorerError: if the scorer fails or breaks its contract.
        """
        ...

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """Arrow types of the new keys of the stats."""
        ...


@dataclass(frozen=True)
class ScoreJob:
    """Adds the scores of each row to its stats.

    :param reader: reads the rows.
    :param scorer: scores them.
    :param stats: key of the stat of each measure of the scorer.
    :param identity: digest of everything except the rows that affects the scores. A score that a row brings is used if
        the same identity made it from the same texts; otherwise the row is scored again. None: scores that rows bring
        are not used, and new ones are not marked.
    :param bounds: bounds that the scores will be compared with.
    :param decides: number of the measure that is compared with them.
    :param view: which part of a row the scorer reads.
    """

    reader: SampleReader
    scorer: RowScorer
    stats: tuple[str, ...]
    identity: str | None
    bounds: Bounds
    decides: int = 0
    view: View = "answer"

    def features(self, features: Features) -> Features:
        """See `ScoringJob`."""
        return Features({**features, STATS: JSON})

    def tables(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """See `ScoringJob`."""
        return iter(tables)

    def run(self, table: pa.Table) -> Scored:
        """See `ScoringJob`."""
        samples = self.reader.samples(table, self.view)
        brought = stats_of(table)
        made_by = [self._made_by(sample) for sample in samples]
        known = [self._known(stats, maker) for stats, maker in zip(brought, made_by, strict=True)]
        asked = [sample for sample, scores in zip(samples, known, strict=True) if scores is None]
        with named(self.reader.operator):
            new = iter(measured_scores(self.scorer, asked, self.bounds))
        found = [scores if scores is not None else next(new) for scores in known]
        deciding = [scores[self.decides] for scores in found]
        missing = Counter(score.status for score in deciding if score.value is None)
        rows = [
            stats | stat_entries(self.stats, scores, maker)
            for stats, scores, maker in zip(brought, found, made_by, strict=True)
        ]
        figures = {"unscored": dict(missing), "reused": len(samples) - len(asked)}
        return Scored(set_column(table, STATS, json_array(rows)), figures)

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """See `ScoringJob`."""
        return stat_types(self.stats)

    def _made_by(self, sample: Sample) -> str | None:
        if self.identity is None:
            return None
        return content_digest({"scorer": self.identity, **sample.content, **sample.parts})[:DIGEST_LENGTH]

    def _known(self, stats: Mapping[str, Any], maker: str | None) -> tuple[Score, ...] | None:
        if maker is None or any(stats.get(name + MADE_BY) != maker or stats.get(name) is None for name in self.stats):
            return None
        return tuple(Score(float(stats[name])) for name in self.stats)
