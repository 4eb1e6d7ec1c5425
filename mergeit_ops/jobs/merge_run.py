"""A running merge over many topics."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import pyarrow as pa

from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.rows.lossless import UnencodableError
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.counts import many
from mergeit_ops.dataset.derived_columns import DerivedColumns
from mergeit_ops.dataset.merge_table import Merge, MergeRecord, TopicMerges, flat_table


class Sink(Protocol):
    """A destination of flat rows."""

    def write(self, table: pa.Table) -> None:
        """Append a table."""
        ...


class MergeWork:
    """Groups of topics that are being merged. Not thread-safe."""

    def open(self, topic: TopicMerges) -> None:
        """Start a topic."""
        raise NotImplementedError

    def mergeable_groups(self, topic: TopicMerges) -> Iterator[int]:
        """Yield, one by one, the numbers of the groups of an open topic that may be merged.

        The rows of a group are encoded as text at that moment. A group with a row that has no text form is settled at
        once, unmerged.
        """
        for number in range(len(topic.groups)):
            try:
                topic.encode_parents(number)
            except UnencodableError:
                self.settle(topic, number, Merge(error="unencodable"))
            else:
                yield number

    def settle(self, topic: TopicMerges, number: int, merge: Merge) -> None:
        """Record the outcome of a group of an open topic."""
        topic.merges[number] = with_system(merge, topic, number)


class MergeTrial(MergeWork):
    """Groups that are merged before the others, to learn from them. They do not become rows yet."""

    def __init__(self) -> None:
        self.opened: list[TopicMerges] = []

    def open(self, topic: TopicMerges) -> None:
        """Start a topic."""
        self.opened.append(topic)


class MergeRun(MergeWork):
    """Topics in progress. Each is written, in order, when all its groups have an outcome.

    It holds only topics that wait for an outcome, so memory does not grow with the dataset. Not thread-safe.

    :param layout: layout of the samples.
    :param sink: destination of the flat rows.
    :param embed: returns the embeddings of merged samples as text; None if rows do not keep embeddings.
    :param derived: derived columns of merged rows.
    """

    def __init__(
        self,
        layout: SampleFormat,
        sink: Sink,
        embed: Callable[[Sequence[Sample]], Sequence[str]] | None,
        derived: DerivedColumns,
    ) -> None:
        self.layout = layout
        self._sink = sink
        self._embed = embed
        self._derived = derived
        self._waiting: deque[TopicMerges] = deque()
        self.entered: list[str] = []
        self.merges: dict[str, MergeRecord] = {}
        self.contents: dict[str, str] = {}
        self.inexact: set[str] = set()
        self.topics = 0
        self.pairs = 0
        self.merged = 0
        self.failed: Counter[str] = Counter()
        self.unmergeable: Counter[str] = Counter()
        self.emptied: Counter[str] = Counter()
        self.plan: Mapping[str, Any] = {}
        """The plan of the merge, if it is a dry run."""

    def open(self, topic: TopicMerges) -> None:
        """Start a topic."""
        self._write_complete()
        self._waiting.append(topic)
        self.entered += topic.row_ids
        self.contents |= topic.contents()
        self.inexact |= topic.inexact
        self.topics += 1
        self.pairs += len(topic.groups)
        self.unmergeable.update(reading.problem for reading in topic.readings if reading.problem)

    def settle(self, topic: TopicMerges, number: int, merge: Merge) -> None:
        """Record the outcome of a group of an open topic."""
        super().settle(topic, number, merge)
        self.merged += bool(merge.answers)
        if merge.error:
            self.failed[merge.error] += 1
        self._write_complete()

    def _write_complete(self) -> None:
        while self._waiting and self._waiting[0].complete:
            topic = self._waiting.popleft()
            flat = flat_table(topic, self.layout, self._embed, self._derived)
            self.merges |= flat.merges
            self.emptied.update(flat.emptied)
            self._sink.write(flat.table)

    def finish(self) -> None:
        """Write the remaining topics; every group must have its outcome."""
        self._write_complete()
        if self._waiting:
            raise AssertionError(f"pairs without an outcome are left in {many(len(self._waiting), 'topic')}")


def with_system(merge: Merge, topic: TopicMerges, number: int) -> Merge:
    """Give the answers of a merge the system prompt that its parents share."""
    if not merge.answers:
        return merge
    prompts = {parent.system for parent in topic.samples(topic.groups[number])}
    system = prompts.pop() if len(prompts) == 1 else ""
    return replace(merge, answers=tuple(replace(answer, system=system) for answer in merge.answers))
