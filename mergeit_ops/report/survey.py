"""One pass over an export: what became of its rows, per topic and per merge, and samples of their texts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.rows.lineage import MERGED, RESTORED
from mergeit_ops.report.sampling import Reservoir, Sketch, text_key
from mergeit_ops.runs import ExportRow

__all__ = ["MergeFigures", "Point", "Survey", "TopicTally", "input_points", "survey"]

_TEXTS_PER_TOPIC = 400
_CHARACTERS_KEPT = 600
_NO_STATUS = "without lineage"


@dataclass(frozen=True)
class Point:
    """A row to embed.

    :param query: the text that is embedded.
    :param vector: the embedding that the row brings, as text; None where it has to be made.
    :param topic: its topic, or None.
    :param status: what became of it.
    """

    query: str
    vector: str | None = None
    topic: int | None = None
    status: str | None = None


@dataclass
class TopicTally:
    """What became of a topic.

    :param rows: in the export.
    :param entered: rows of the export and those inside its merges: what the topic had before merging.
    :param merged: rows that are merges.
    :param restored: rows given back by the gate.
    :param scores: sum of the quality scores of its rows.
    :param scored: rows that have one.
    :param texts: instructions of some of its rows.
    """

    rows: int = 0
    entered: int = 0
    merged: int = 0
    restored: int = 0
    scores: float = 0.0
    scored: int = 0
    texts: Reservoir[str] = field(default_factory=lambda: Reservoir(_TEXTS_PER_TOPIC, 0))

    def add(self, row: ExportRow) -> None:
        """Count a row of the topic, but for its text."""
        self.rows += 1
        self.entered += max(1, len(row.lineage.parent_ids))
        self.merged += row.lineage.status == MERGED
        self.restored += row.lineage.status == RESTORED
        if (score := _number(row.quality.score)) is not None:
            self.scores += score
            self.scored += 1

    @property
    def mean_quality(self) -> float | None:
        """Return the mean quality of its scored rows."""
        return self.scores / self.scored if self.scored else None


@dataclass(frozen=True)
class MergeFigures:
    """A merge that was made: it is in the export, or the gate rejected it and its parents are.

    :param key: number of its row in the export, or of its first parent.
    :param topic: its topic, or None.
    :param parents: number of parents.
    :param similarity: lowest cosine in the group, or None.
    :param before: reference score of the parents, or None.
    :param after: its own score, or None.
    :param coverage: how much it keeps of the parent that it keeps least of, or None.
    :param kept: for each parent, how much it keeps of it, and of what it keeps least; empty if unknown.
    :param rejected: None when it was accepted, else why not.
    :param reverse_ifd: its reverse IFD, or None.
    """

    key: int
    topic: int | None
    parents: int
    similarity: float | None
    before: float | None
    after: float | None
    coverage: float | None
    kept: tuple[tuple[float, str], ...]
    rejected: str | None
    reverse_ifd: float | None = None

    @property
    def ratio(self) -> float | None:
        """Return after / before, or None."""
        return self.after / self.before if self.after is not None and self.before else None

    @property
    def scored(self) -> bool:
        """Return whether the gate compared its score with that of its parents."""
        return self.before is not None and self.after is not None


@dataclass
class Survey:
    """What one pass over the rows has found.

    :param rows: number of rows.
    :param statuses: rows by what became of them.
    :param topics: by id.
    :param merges: accepted and rejected ones, in the order of the export.
    :param failed: reason to the number of groups whose merge failed; groups are told by their id.
    :param unmergeable: reason to the number of rows that were never offered for a merge.
    :param models: merges by the model, or the strategy, that made them.
    :param points: a sample of the rows of the export.
    :param covering: the same, but with each merge that has any parent in the sample of what entered: it stands there
        for them, as it does in the whole.
    :param entered: a sample of the rows before merging: those of the export and those inside its merges.
    """

    rows: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    topics: dict[int, TopicTally] = field(default_factory=dict)
    merges: list[MergeFigures] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    unmergeable: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    points: Sketch[Point] = field(default_factory=lambda: Sketch(0))
    covering: Sketch[Point] = field(default_factory=lambda: Sketch(0))
    entered: Sketch[Point] = field(default_factory=lambda: Sketch(0))

    @property
    def rows_entered(self) -> int:
        """Return how many rows the rows of the export have come from."""
        return self.rows + sum(merge.parents - 1 for merge in self.accepted)

    @property
    def accepted(self) -> list[MergeFigures]:
        """Return the merges that are in the export."""
        return [merge for merge in self.merges if merge.rejected is None]

    @property
    def rejected(self) -> list[MergeFigures]:
        """Return the merges that the gate took apart."""
        return [merge for merge in self.merges if merge.rejected is not None]

    @property
    def gated(self) -> bool:
        """Return whether a gate has scored any merge."""
        return any(merge.scored for merge in self.merges)


def survey(rows: Iterable[tuple[ExportRow, str | None]], layout: SampleFormat | None, sample: int, seed: int) -> Survey:
    """Read all rows once.

    :param rows: each with the embedding that it brings, as text, or None.
    :param layout: to read texts with; None: texts are left alone.
    :param sample: rows to keep of the export, and of what entered the merger.
    :param seed: of the samples.
    """
    found = Survey(points=Sketch(sample), covering=Sketch(sample), entered=Sketch(sample))
    rejected: dict[str, MergeFigures] = {}
    failed_groups: dict[str, set[str]] = {}
    for row, vector in rows:
        lineage = row.lineage
        found.rows += 1
        found.statuses[lineage.status or _NO_STATUS] += 1
        topic = (
            found.topics.setdefault(lineage.topic_id, TopicTally()) if lineage.topic_id is not None else TopicTally()
        )
        topic.add(row)
        if lineage.model is not None and (lineage.status == MERGED or lineage.rejected_text is not None):
            found.models[lineage.model] += 1
        if lineage.status == MERGED:
            found.merges.append(_merge(row, len(lineage.parent_ids), None))
        elif lineage.status == RESTORED:
            group = lineage.group_id or f"row {row.number}"
            earlier = rejected.get(group)
            rejected[group] = (
                _merge(row, 1, lineage.rejected or "unknown")
                if earlier is None
                else replace(earlier, parents=earlier.parents + 1)
            )
        elif lineage.error is not None:
            if lineage.group_id is None:
                found.unmergeable[lineage.error] += 1
            else:
                failed_groups.setdefault(lineage.error, set()).add(lineage.group_id)
        if layout is not None:
            _take_texts(row, vector, layout, topic, found, seed)
    found.merges += rejected.values()
    found.merges.sort(key=lambda merge: merge.key)
    found.failed = Counter({reason: len(groups) for reason, groups in failed_groups.items()})
    return found


def _merge(row: ExportRow, parents: int, rejected: str | None) -> MergeFigures:
    quality = row.quality
    return MergeFigures(
        row.number,
        row.lineage.topic_id,
        parents,
        _number(row.lineage.similarity),
        _number(quality.before),
        _number(quality.after),
        _number(quality.coverage),
        tuple(row.lineage.kept),
        rejected,
        _number(quality.reverse_ifd),
    )


def _number(value: Any) -> float | None:
    """Return a number that can be reckoned with, or None."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _take_texts(
    row: ExportRow, vector: str | None, layout: SampleFormat, topic: TopicTally, found: Survey, seed: int
) -> None:
    sample = layout.read(row.content).sample
    topic.texts.add(sample.instruction[:_CHARACTERS_KEPT])
    point = Point(sample.query, vector, row.lineage.topic_id, row.lineage.status)
    key = text_key(sample.query, seed)
    found.points.add(key, point)
    if row.lineage.status != MERGED:
        found.covering.add(key, point)
        found.entered.add(key, point)
        return
    keys = []
    for parent in row.parents:
        query = layout.read(parent).sample.query
        keys.append(text_key(query, seed))
        found.entered.add(keys[-1], Point(query))
    found.covering.add(min(keys, default=key), point)


def input_points(rows: Iterable[Mapping[str, Any]], layout: SampleFormat, sample: int, seed: int) -> Sketch[Point]:
    """Return a sample of the rows of an input, by the keys of the samples of a survey.

    :param rows: their columns.
    :param layout: to read them with.
    :param sample: rows to keep.
    :param seed: that of the survey.
    """
    found: Sketch[Point] = Sketch(sample)
    for row in rows:
        query = layout.read(row).sample.query
        found.add(text_key(query, seed), Point(query))
    return found
