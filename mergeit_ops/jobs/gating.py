"""The quality gate over a table: score merges and their parents, decide, and restore the parents of rejected merges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from datasets import Features

from mergeit_ops.core.columns import EMBEDDING, META, STATS
from mergeit_ops.core.formats.views import View
from mergeit_ops.core.gate.comparison import Bounds, Comparison, MergeComparison, RowComparison
from mergeit_ops.core.gate.rule import Decision, GateRule
from mergeit_ops.core.rows import lineage
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.dataset.embeddings import embeddings_as_text
from mergeit_ops.dataset.gate_record import GateRecord
from mergeit_ops.dataset.gate_table import GateVerdict, MergedRow, gated_table, merged_rows, metadata_of, whole_topics
from mergeit_ops.dataset.stats import GATE_STATS
from mergeit_ops.dataset.tables import JSON, TEXT, inexact_columns
from mergeit_ops.errors import named
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.jobs.scoring import Scored
from mergeit_ops.scorers import RowScorer, compared_scores
from mergeit_ops.scorers.scoring import measured_scores, measures_of

__all__ = ["REVERSE_IFD", "GateJob"]

REVERSE_IFD = "reverse_ifd"
"""The scorer's measure that `max_reverse_ifd` limits."""


@dataclass(frozen=True)
class GateJob:
    """Decides about the merged rows of a table.

    :param reader: reads the rows.
    :param scorer: scorer of the rows.
    :param rule: rule by which a merge passes.
    :param bounds: bounds of the plain filter after the gate.
    :param score_all: whether rows that are not merges are scored too.
    :param view: which part of such a row the scorer reads; merges and their parents have no reasoning trace.
    """

    reader: SampleReader
    scorer: RowScorer
    rule: GateRule
    bounds: Bounds
    score_all: bool
    view: View = "answer"

    def features(self, features: Features) -> Features:
        """See `ScoringJob`."""
        known = {name: kind for name, kind in ((EMBEDDING, TEXT), (META, JSON)) if name in features}
        return Features({**features, **known, STATS: JSON})

    def tables(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """See `ScoringJob`."""
        return whole_topics(tables)

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """See `ScoringJob`."""
        return GATE_STATS if self.rule.max_reverse_ifd is None else {**GATE_STATS, lineage.REVERSE_IFD: pa.float64()}

    def run(self, table: pa.Table) -> Scored:
        """See `ScoringJob`; tables hold whole topics if rows have lineage."""
        layout, metas = self.reader.layout, metadata_of(table)
        with self.reader.reading_embeddings():
            table = embeddings_as_text(table)
        with named(self.reader.operator):
            merges = merged_rows(table, metas, layout)
        if EMBEDDING in table.column_names and any(map(_may_need_embedding, merges)):
            self.reader.check_width(table, "remove the column")
        questions = [
            MergeComparison(merge.candidates, merge.parents, merge.coverages, self.rule, self.bounds)
            for merge in merges
        ]
        plain = self._plain_samples(table, {merge.position for merge in merges}) if self.score_all else {}
        comparisons: list[Comparison] = [*questions, *(RowComparison(one, self.bounds) for one in plain.values())]
        with named(self.reader.operator):
            scores, reverse_ifds = self._scores(comparisons)
        questions = [
            replace(question, reverse_ifds=tuple(found[: len(question.candidates)]))
            for question, found in zip(questions, reverse_ifds, strict=False)
        ]
        verdicts = {
            merge.position: (merge, _verdict(merge, question, found))
            for merge, question, found in zip(merges, questions, scores, strict=False)
        }
        plain_scores = {position: score for position, (score,) in zip(plain, scores[len(merges) :], strict=True)}
        with named(self.reader.operator):
            gated, after, rebuilt = gated_table(table, metas, verdicts, plain_scores, layout, self._embedding_texts)
        record = GateRecord()
        record.gated(metas, after, verdicts.values(), rebuilt, layout, inexact_columns(table.schema))
        figures = _figures(verdicts.values()) | {"unscored": len(_unscored(comparisons, scores))}
        return Scored(gated, figures, record.details)

    def decisions(self, questions: Sequence[MergeComparison]) -> list[Decision]:
        """Return the gate's decisions about merges that are not rows yet.

        :param questions: the merges with their parents.
        """
        with named(self.reader.operator):
            scores, reverse_ifds = self._scores(questions)
        return [
            replace(question, reverse_ifds=tuple(ifds[: len(question.candidates)])).decide([one.value for one in found])
            for question, found, ifds in zip(questions, scores, reverse_ifds, strict=True)
        ]

    def _scores(self, comparisons: Sequence[Comparison]) -> tuple[list[list[Score]], list[list[float | None]]]:
        """Return the scores of the rows of each comparison, and their reverse IFDs if the rule needs them."""
        if self.rule.max_reverse_ifd is None:
            return compared_scores(self.scorer, comparisons), [[] for _ in comparisons]
        samples = [sample for comparison in comparisons for sample in comparison.samples]
        rows = iter(measured_scores(self.scorer, samples, self.bounds))
        place = list(measures_of(self.scorer)).index(REVERSE_IFD)
        found = [[next(rows) for _ in comparison.samples] for comparison in comparisons]
        return [[row[0] for row in part] for part in found], [[row[place].value for row in part] for part in found]

    def _plain_samples(self, table: pa.Table, merged: set[int]) -> dict[int, Sample]:
        samples = self.reader.samples(table, self.view)
        return {position: sample for position, sample in enumerate(samples) if position not in merged}

    def _embedding_texts(self, samples: Sequence[Sample]) -> list[str]:
        return encode_vectors(self.reader.embed(samples))


def _may_need_embedding(merge: MergedRow) -> bool:
    return len(merge.candidates) > 1 or not all(row.get(EMBEDDING) for row in merge.parent_rows)


def _verdict(merge: MergedRow, question: MergeComparison, scores: Sequence[Score]) -> GateVerdict:
    answers = len(question.candidates)
    decision = question.decide([score.value for score in scores])
    return GateVerdict(decision, scores[:answers], scores[answers:], merge.kept)


def _figures(verdicts: Iterable[tuple[MergedRow, GateVerdict]]) -> dict[str, Any]:
    accepted = restored = 0
    rejected: Counter[str] = Counter()
    for _, verdict in verdicts:
        if verdict.decision.rejected is None:
            accepted += 1
        else:
            restored += len(verdict.parent_scores)
            rejected[verdict.decision.rejected] += 1
    counts = {"accepted": accepted, "restored_rows": restored}
    return {name: count for name, count in counts.items() if count} | {"rejected": dict(rejected)}


def _unscored(comparisons: Iterable[Comparison], scores: Iterable[Sequence[Score]]) -> set[Sample]:
    return {
        sample
        for comparison, found in zip(comparisons, scores, strict=True)
        for sample, score in zip(comparison.samples, found, strict=True)
        if score.value is None
    }
