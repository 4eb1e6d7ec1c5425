"""The gate's part of a run's record: the rows before and after it, and the outcome of each merge."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.rows import lineage
from mergeit_ops.core.rows.identity import sample_digest
from mergeit_ops.dataset.gate_table import GateVerdict, MergedRow
from mergeit_ops.dataset.merge_table import MergeRecord, merge_record


@dataclass
class GateRecord:
    """Row ids, in the order of the rows. Rows without an id (if the gate is before the grouper) are left out.

    :param entered: ids of the rows before the gate.
    :param passed: ids of the rows after the decisions, in order; None for a row without an id.
    :param accepted: record that identifies each accepted merge.
    :param restored: the parents of each rejected merge.
    :param inexact: columns that digests of rows leave out.
    """

    entered: list[str] = field(default_factory=list)
    passed: list[str | None] = field(default_factory=list)
    accepted: dict[str, MergeRecord] = field(default_factory=dict)
    restored: dict[str, list[str]] = field(default_factory=dict)
    inexact: set[str] = field(default_factory=set)

    def gated(
        self,
        before: Iterable[Mapping[str, Any]],
        after: Iterable[Mapping[str, Any]],
        verdicts: Iterable[tuple[MergedRow, GateVerdict]],
        rebuilt: Mapping[str, Mapping[str, Any]],
        layout: SampleFormat,
        inexact: Collection[str],
    ) -> None:
        """Record the decisions on a table.

        :param before: metadata of its rows.
        :param after: metadata of the resulting rows.
        :param verdicts: its merged rows, each with its decision.
        :param rebuilt: columns of the rows that were not in the input, by row id.
        :param layout: layout of the samples.
        :param inexact: the columns that some form of export does not preserve exactly.
        """
        self.inexact |= set(inexact)
        self.entered += [row_id for meta in before if (row_id := meta.get(lineage.ROW_ID))]
        self.passed += [meta.get(lineage.ROW_ID) for meta in after]
        for merged, verdict in verdicts:
            row_id, parents = merged.meta[lineage.ROW_ID], merged.meta[lineage.PARENT_IDS]
            if verdict.decision.rejected is not None:
                self.restored[row_id] = list(parents)
                continue
            row = rebuilt.get(row_id)
            if row is None:
                # The merger's record holds the rest of the row.
                self.accepted[row_id] = {"parents": list(parents), "text": sample_digest(merged.candidates[0])}
            else:
                self.accepted[row_id] = merge_record(parents, layout.read(row).sample, row, inexact)

    def details(self, stays: Sequence[bool]) -> dict[str, Any]:
        """Return the details for the record of the run; empty if rows have no ids.

        :param stays: whether each row after the decisions stays.
        """
        if not self.entered:
            return {}
        left: list[str] = []
        dropped: list[str] = []
        for row_id, stay in zip(self.passed, stays, strict=True):
            if row_id:
                (left if stay else dropped).append(row_id)
        return {
            "entered": self.entered,
            "left": left,
            "dropped": dropped,
            "accepted": self.accepted,
            "restored": self.restored,
            "inexact": sorted(self.inexact),
        }
