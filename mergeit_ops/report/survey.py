"""One pass over an export: what became of its rows, per topic and per merge, and samples of their texts."""

from __future__ import annotations

import hashlib
import heapq
import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.rows.lineage import MERGED, RESTORED
from mergeit_ops.runs import ExportRow

__all__ = [
    "NO_STATUS",
    "Merge",
    "Point",
    "Reservoir",
    "Sketch",
    "Survey",
    "Topic",
    "input_points",
    "survey",
    "text_key",
]

_Item = TypeVar("_Item")

_TEXTS_PER_TOPIC = 400
_CHARACTERS_KEPT = 600
NO_STATUS = "without lineage"


class Sketch(Generic[_Item]):
    """Of what passes by, the items with the smallest keys: a random sample, if keys are random.

    Samples of several sets by one key agree with each other: what two sets share is in both samples or in neither.

    :param size: items to keep.
    """

    def __init__(self, size: int) -> None:
        self.seen = 0
        self.bound = 1.0
        """All items with a smaller key are kept."""
        self._size = size
        self._heap: list[tuple[float, int, _Item]] = []

    def add(self, key: float, item: _Item) -> None:
        """Let an item pass.

        :param key: in [0, 1).
        :param item: what may be kept.
        """
        self.seen += 1
        entry = (-key, self.seen, item)
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, entry)
            return
        dropped = heapq.heapreplace(self._heap, entry) if self._heap and entry > self._heap[0] else entry
        self.bound = min(self.bound, -dropped[0])

    def below(self, bound: float = 1.0) -> list[_Item]:
        """Return all items whose keys are below a bound, or below the sketch's own, in the order they passed by."""
        lowest = min(bound, self.bound)
        return [
            item for _, _, item in sorted((entry for entry in self._heap if -entry[0] < lowest), key=lambda e: e[1])
        ]


def text_key(text: str, seed: int) -> float:
    """Return a random key in [0, 1) that texts share which differ in spaces and case only.

    :param text: any text.
    :param seed: another seed gives other keys.
    """
    told = f"{seed} {' '.join(text.split()).casefold()}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(told, digest_size=8).digest(), "big") / 2**64


class Reservoir(Generic[_Item]):
    """A uniform sample of what passes by, of bounded size (algorithm R).

    :param size: items to keep.
    :param seed: of the draws.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.items: list[_Item] = []
        self.seen = 0
        self._size = size
        self._random = random.Random(seed)

    def add(self, item: _Item) -> None:
        """Let an item pass."""
        self.seen += 1
        if len(self.items) < self._size:
            self.items.append(item)
        elif (place := self._random.randrange(self.seen)) < self._size:
            self.items[place] = item


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
class Topic:
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

    @property
    def mean_quality(self) -> float | None:
        """Return the mean quality of its scored rows."""
        return self.scores / self.scored if self.scored else None


@dataclass(frozen=True)
class Merge:
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

    @property
    def ratio(self) -> float | None:
        """Return after / before, or None."""
        return self.after / self.before if self.after is not None and self.before else None


@dataclass
class Survey:
    """What one pass over the rows has found.

    :param rows: number of rows.
    :param statuses: rows by what became of them.
    :param topics: by id.
    :param merges: accepted and rejected ones, in the order of the export.
    :param failed: reason to the number of groups whose merge failed; groups are told by their id.
    :param unmergeable: reason to the number of rows that were never offered for a merge.
    :param points: a sample of the rows of the export.
    :param covering: the same, but with each merge that has any parent in the sample of what entered: it stands there
        for them, as it does in the whole.
    :param entered: a sample of the rows before merging: those of the export and those inside its merges.
    """

    rows: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    topics: dict[int, Topic] = field(default_factory=dict)
    merges: list[Merge] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    unmergeable: Counter[str] = field(default_factory=Counter)
    points: Sketch[Point] = field(default_factory=lambda: Sketch(0))
    covering: Sketch[Point] = field(default_factory=lambda: Sketch(0))
    entered: Sketch[Point] = field(default_factory=lambda: Sketch(0))

    @property
    def rows_entered(self) -> int:
        """Return how many rows the rows of the export have come from."""
        return self.rows + sum(merge.parents - 1 for merge in self.merges if merge.rejected is None)


def survey(rows: Iterable[tuple[ExportRow, str | None]], layout: SampleFormat | None, sample: int, seed: int) -> Survey:
    """Read all rows once.

    :param rows: each with the embedding that it brings, as text, or None.
    :param layout: to read texts with; None: texts are left alone.
    :param sample: rows to keep of the export, and of what entered the merger.
    :param seed: of the samples.
    """
    found = Survey(points=Sketch(sample), covering=Sketch(sample), entered=Sketch(sample))
    rejected: dict[str, Merge] = {}
    failed_groups: dict[str, set[str]] = {}
    for row, vector in rows:
        lineage, quality = row.lineage, row.quality
        found.rows += 1
        found.statuses[lineage.status or NO_STATUS] += 1
        topic = found.topics.setdefault(lineage.topic_id, Topic()) if lineage.topic_id is not None else Topic()
        topic.rows += 1
        parents = len(lineage.parent_ids)
        topic.entered += max(1, parents)
        topic.merged += lineage.status == MERGED
        topic.restored += lineage.status == RESTORED
        if (score := _number(quality.score)) is not None:
            topic.scores += score
            topic.scored += 1
        if lineage.status == MERGED:
            found.merges.append(_merge(row, parents, None))
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


def _merge(row: ExportRow, parents: int, rejected: str | None) -> Merge:
    quality = row.quality
    return Merge(
        row.number,
        row.lineage.topic_id,
        parents,
        _number(row.lineage.similarity),
        _number(quality.before),
        _number(quality.after),
        _number(quality.coverage),
        tuple(row.lineage.kept),
        rejected,
    )


def _number(value: Any) -> float | None:
    """Return a number that can be reckoned with, or None."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _take_texts(
    row: ExportRow, vector: str | None, layout: SampleFormat, topic: Topic, found: Survey, seed: int
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
