"""One pass over an export: what became of its rows, for each topic and each merge, and samples of their texts."""

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

    :param query: the text to embed.
    :param vector: the encoded stored embedding of the row; None: the row has none.
    :param topic: topic of the row, or None.
    :param status: what became of the row, such as `merged`.
    """

    query: str
    vector: str | None = None
    topic: int | None = None
    status: str | None = None


@dataclass
class TopicTally:
    """Counts of a topic.

    :param rows: number of rows in the export.
    :param entered: number of rows before merging: a merge counts as its parents.
    :param merged: number of rows that are merges.
    :param restored: number of rows that the gate restored from rejected merges.
    :param scores: sum of the quality scores of its rows.
    :param scored: number of rows with a quality score.
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
        """Count a row of the topic. `texts` is filled separately."""
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
    """A merge that was made. The export has the merge or, if the gate rejected it, its parents.

    :param key: number of its row in the export; for a rejected merge, number of its first parent's row.
    :param topic: topic of the merge, or None.
    :param parents: number of parents.
    :param similarity: lowest cosine between two rows of the group, or None.
    :param before: reference score of the parents, or None.
    :param after: score of the merge, or None.
    :param coverage: lowest share that the merge keeps of a parent, or None.
    :param kept: for each parent, the share that the merge keeps of it, and the part of which it keeps least; empty if
        unknown.
    :param rejected: reason code of the rejection; None: the merge was accepted.
    :param reverse_ifd: reverse IFD of the merge, or None.
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
        """Return `after / before`, or None if one of them is missing or `before` is 0."""
        return self.after / self.before if self.after is not None and self.before else None

    @property
    def scored(self) -> bool:
        """Return whether the gate compared its score with that of its parents."""
        return self.before is not None and self.after is not None


@dataclass
class Survey:
    """The results of one pass over the rows of an export.

    :param rows: number of rows.
    :param statuses: number of rows by what became of them.
    :param topics: counts of each topic, by its id.
    :param merges: accepted and rejected merges, in the order of the export.
    :param failed: number of groups whose merge failed, by reason.
    :param unmergeable: number of rows that were never offered for a merge, by reason.
    :param models: number of merges by the model or the strategy that made them.
    :param points: a sample of the rows of the export.
    :param covering: the same sample, plus each merge with a parent in `entered`. A merge covers its parents, so it has
        to be in the sample if one of them is.
    :param entered: a sample of the rows before merging, with the parents of merges instead of the merges.
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
        """Return the number of rows before merging: an accepted merge counts as its parents."""
        return self.rows + sum(merge.parents - 1 for merge in self.accepted)

    @property
    def accepted(self) -> list[MergeFigures]:
        """Return the accepted merges, which are in the export."""
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

    :param rows: each row with its encoded stored embedding, or None.
    :param layout: format of the rows; None: texts are not read.
    :param sample: size of the sample of the export, and of the sample of the rows before merging.
    :param seed: seed of the samples.
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
    """Return a finite number as a float; None for anything else."""
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
    """Return a sample of the rows of an input with the same keys as the samples of a survey.

    :param rows: columns of each row.
    :param layout: format of the rows.
    :param sample: size of the sample.
    :param seed: seed of the survey.
    """
    found: Sketch[Point] = Sketch(sample)
    for row in rows:
        query = layout.read(row).sample.query
        found.add(text_key(query, seed), Point(query))
    return found
