"""Merge similar samples of topics, and flatten the topics (MergeIT, stage 2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datasets import Features

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.merging.concatenation import concatenate
from mergeit_ops.core.merging.pairing import Group
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.dataset.derived_columns import DerivedColumns
from mergeit_ops.dataset.embeddings import embeddings_as_text, vectors_column
from mergeit_ops.dataset.emptied_columns import disagreements
from mergeit_ops.dataset.merge_table import Merge, TopicMerges, merged_features
from mergeit_ops.dataset.tables import set_column
from mergeit_ops.dataset.topics import Topic, flat_features, table_topics
from mergeit_ops.jobs.merge_judge import Case, MergeJudge
from mergeit_ops.jobs.merge_run import MergeRun, MergeTrial, Sink
from mergeit_ops.jobs.paired_topics import PairedTopics
from mergeit_ops.jobs.pairing import PairingJob
from mergeit_ops.jobs.row_ids import row_ids
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.llm.usage import PLANNED_FIGURES

if TYPE_CHECKING:
    from mergeit_ops.jobs.llm_merging import LLMMerging
    from mergeit_ops.llm.engine import LLMEngine

__all__ = ["MergeJob"]


@dataclass(frozen=True)
class MergeJob:
    """A merge of similar samples within topics.

    :param reader: reads and embeds the samples.
    :param pairing: finds the samples to merge with each other.
    :param llm: has a model write the merged samples; None: the parents are concatenated.
    :param derived: columns to fill on merged rows.
    :param keep_embeddings: whether rows keep their embeddings.
    :param dry_run: whether calls are only counted, and samples are passed on as they are.
    :param flattens_only: whether no sample is merged.
    :param judge: predicts which merges the following gates accept; None if that cannot be known in advance.
    """

    reader: SampleReader
    pairing: PairingJob
    llm: LLMMerging | None = None
    derived: DerivedColumns = field(default_factory=DerivedColumns)
    keep_embeddings: bool = False
    dry_run: bool = False
    flattens_only: bool = False
    judge: MergeJudge | None = None

    @property
    def engines(self) -> list[LLMEngine]:
        """Return the engines that ask a model: one or none."""
        return [] if self.llm is None or self.dry_run else [self.llm.engine]

    def features(self, topics: Features) -> Features:
        """Return columns and types of the flat rows, from those of the topics."""
        return merged_features(flat_features(topics), self.keep_embeddings)

    def groups(self, topic: Topic) -> list[Group]:
        """Return the groups of samples to merge."""
        return [] if self.flattens_only else self.pairing.groups(topic)

    def disagreements(
        self, table: pa.Table, columns: Sequence[str]
    ) -> tuple[None, tuple[list[Sequence[Group]], Counter[str]]]:
        """Return the groups of each topic, and how many of their merges would empty each column.

        :param table: topics.
        :param columns: names of columns.
        """
        groups: list[Sequence[Group]] = []
        counts: Counter[str] = Counter()
        for topic in table_topics(table):
            groups.append(self.groups(topic))
            counts.update(disagreements(topic, groups[-1], columns))
        return None, (groups, counts)

    def begin(self, sink: Sink) -> MergeRun:
        """Return a merge that has not started yet.

        :param sink: destination of the flat rows.
        """
        return MergeRun(self.reader.layout, sink, self._embedding_of if self.keep_embeddings else None, self.derived)

    def merge(
        self,
        topics: Callable[[], Iterable[Topic]],
        work: MergeRun,
        groups: Iterable[Sequence[Group]] | None = None,
        more_to_come: bool = False,
    ) -> None:
        """Find the groups of topics, merge them, and write the flat rows.

        Requests are sent while later topics are still being paired, and each topic is written when it is complete.

        :param topics: function that yields the topics from the start each time.
        :param work: result of `begin`.
        :param groups: the groups of each topic; None if they are not known yet.
        :param more_to_come: whether other topics of the same dataset are merged elsewhere, or later.
        :raises LLMError: if the model cannot answer, or too many merges fail.
        """
        known = None if groups is None else iter(groups)
        at_once = 1 if self.llm is None else self.llm.in_advance
        paired = PairedTopics(topics, lambda topic: self.groups(topic) if known is None else next(known), at_once)
        opened = self.opened(paired)
        if self.llm is None:
            self._concatenate(opened, work)
        elif self.dry_run:
            work.plan = self.llm.plan(opened, work, self.judge)
        else:
            self.llm.run(opened, work, lambda: paired.total, more_to_come, self.reader.operator)
        work.finish()

    def account(self, work: MergeRun) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the figures and the details of a merge for the record of the run, even if it had to stop."""
        figures: dict[str, Any] = {
            "rows_in": len(work.entered),
            "topics": work.topics,
            "pairs": work.pairs,
            "merged": work.merged,
            "failed": dict(work.failed),
            "unmergeable": dict(work.unmergeable),
            "emptied_columns": dict(work.emptied),
            # Kept apart from what a run has spent.
            **{
                f"planned_{name}": work.plan[name]
                for name in (*PLANNED_FIGURES, "fixed_prompt_tokens", "judged", "accepted")
                if name in work.plan
            },
        }
        details: dict[str, Any] = {
            "entered": work.entered,
            "merges": work.merges,
            "contents": work.contents,
            "inexact": sorted(work.inexact),
        }
        spent, usage = self.spent()
        return figures | spent, details | usage

    def spent(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the figures and the details of the requests so far; empty if there were none."""
        if self.llm is None or not self.llm.engine.total.requests:
            return {}, {}
        return self.llm.engine.figures(), {"usage": self.llm.engine.total.as_dict()}

    def try_out(
        self, topics: Iterable[Topic], groups: Iterable[Sequence[Group]], trial: MergeTrial
    ) -> list[list[tuple[Merge, bool | None]]]:
        """Merge some groups of topics to learn from them, without making rows.

        :param topics: the topics.
        :param groups: the groups of each topic to try.
        :param trial: gets the merges.
        :return: for each topic, the merges of these groups and whether each was accepted; see `MergeJudge`.
        :raises LLMError: see `LLMEngine.run`.
        """
        assert self.llm is not None
        assert self.judge is not None
        wanted = list(groups)
        paired = ((topic, own) for topic, own in zip(topics, wanted, strict=True) if own)
        number = sum(map(len, wanted))
        self.llm.run(self.opened(paired), trial, lambda: number, True, self.reader.operator)
        layout = self.reader.layout
        tried = [
            [Case.of(topic, at, topic.merges[at], layout) for at in range(len(topic.groups))] for topic in trial.opened
        ]
        verdicts = iter(self.judge.accepted([case for cases in tried for case in cases]))
        opened = iter(trial.opened)
        found: list[list[tuple[Merge, bool | None]]] = []
        for own in wanted:
            merges = next(opened).merges if own else {}
            found.append([(merges[at], next(verdicts)) for at in range(len(own))])
        return found

    def opened(self, paired: Iterable[tuple[Topic, Sequence[Group]]]) -> Iterator[TopicMerges]:
        """Yield topics with their groups, ready to be merged.

        :param paired: topics and the groups of each.
        """
        seen: Counter[str] = Counter()
        for topic, groups in paired:
            ids = row_ids(topic.table, seen, self.reader.operator)
            readings = self.reader.readings(topic.table)
            if self.keep_embeddings:
                topic = replace(topic, table=self._with_embeddings(topic.table, bool(groups)))
            yield TopicMerges(topic, ids, readings, groups, keep_embeddings=self.keep_embeddings)

    def _with_embeddings(self, table: pa.Table, merges: bool) -> pa.Table:
        """Return rows with embeddings as text. Rows of Data-Juicer's groupers have none, or lists of floats.

        :param table: the rows of a topic.
        :param merges: whether some of them are to be merged, so that new embeddings must fit.
        :raises EmbeddingError: if they do not fit, or are unusable.
        """
        if EMBEDDING in table.column_names:
            if merges:
                self.reader.check_width(table, "set keep_embeddings to false")
            with self.reader.reading_embeddings():
                return embeddings_as_text(table)
        return set_column(table, EMBEDDING, vectors_column(self.reader.vectors(table)).combine_chunks())

    def _embedding_of(self, samples: Sequence[Sample]) -> list[str]:
        return encode_vectors(self.reader.embed(samples))

    def _concatenate(self, topics: Iterable[TopicMerges], work: MergeRun) -> None:
        for topic in topics:
            work.open(topic)
            for number in work.mergeable_groups(topic):
                merged = concatenate(topic.samples(topic.groups[number]))
                work.settle(topic, number, Merge() if self.dry_run else Merge((merged,), model="concat"))
