"""The parts of a run to which the conservation law applies, from its records."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from mergeit_ops.runs.recipe_steps import FLATTENER, GATE, GROUPER, MERGER, SELECTOR, kind_of
from mergeit_ops.runs.records import Record, Records

_NOT_PLAIN = (MERGER, GROUPER, FLATTENER, SELECTOR)


@dataclass(frozen=True)
class KnownMerge:
    """The record of a merged row.

    :param parents: row ids of its parents, in order.
    :param text: digest of its text.
    :param row: digest of its columns without the inexact ones; None in records without it.
    :param inexact: columns that the digest leaves out.
    :param derived: derived columns, in which parents need not agree.
    """

    parents: tuple[str, ...]
    text: str
    row: str | None = None
    inexact: frozenset[str] = frozenset()
    derived: frozenset[str] = frozenset()


@dataclass(frozen=True)
class CheckedStage:
    """One merger and its gates, or the operator that is checked in a recipe without a merger.

    :param kind: kind of the operator; empty: our operators in the recipe only score, tag and filter flat rows.
    :param entered: ids of the rows that must not be lost; None without a record.
    :param gates: records of its gates that have ids.
    :param merges: the record of each merged row.
    :param tells_merges: whether the records name all merges.
    :param contents: digests of the rows whose ids do not prove their content, without the inexact columns.
    :param inexact: the columns that these digests leave out.
    :param is_open: whether a gate after it has no record, so that its decisions are unknown.
    """

    kind: str
    entered: tuple[str, ...] | None
    gates: tuple[Record, ...] = ()
    merges: Mapping[str, KnownMerge] = field(default_factory=dict)
    tells_merges: bool = False
    contents: Mapping[str, str] = field(default_factory=dict)
    inexact: frozenset[str] = frozenset()
    is_open: bool = False

    @property
    def verb(self) -> str:
        """Return the verb for one of its rows, for a sentence."""
        known = {MERGER: "entered the merger", GATE: "entered the gate", "": "was kept"}
        return known.get(self.kind, "was selected")

    def verb_of(self, rows: int) -> str:
        """Return the verb for a number of its rows.

        :param rows: number of rows.
        """
        return self.verb if rows == 1 else self.verb.replace("was", "were")

    @property
    def merges_rows(self) -> bool:
        """Return whether its rows have a merge status."""
        return self.kind in (MERGER, GATE)

    @cached_property
    def left(self) -> tuple[str, ...] | None:
        """Return the ids of the rows that left it, counting merged rows; None without a record."""
        if self.is_open:
            return None
        if self.gates:
            return tuple(self.gates[-1]["left"])
        if self.entered is None:
            return None
        inside = {parent for merge in self.merges.values() for parent in merge.parents}
        return (*(row_id for row_id in self.entered if row_id not in inside), *self.merges)

    @cached_property
    def standing(self) -> Mapping[str, KnownMerge]:
        """Return the merges that left it, without those that a gate rejected or dropped."""
        if self.left is None:
            return self.merges
        return {row_id: self.merges[row_id] for row_id in self.left if row_id in self.merges}

    @cached_property
    def whereabouts(self) -> Mapping[str, str | None]:
        """Map each row that left it to the merged row of which it is a parent; None for a separate row."""
        found: dict[str, str | None] = {}
        for row_id in self.left or ():
            merge = self.merges.get(row_id)
            found |= {row_id: None} if merge is None else dict.fromkeys(merge.parents, row_id)
        return found

    @cached_property
    def rejected(self) -> frozenset[str]:
        """Return the ids of the merges that a gate rejected."""
        return frozenset(row_id for gate in self.gates for row_id in gate["restored"])

    @cached_property
    def given_back(self) -> frozenset[str]:
        """Return the ids of the parents that the gates restored."""
        return frozenset(row_id for gate in self.gates for parents in gate["restored"].values() for row_id in parents)

    def units(self, ids: Sequence[str]) -> list[str]:
        """Return ids with each merged row replaced by its parents."""
        restored = {row_id: parents for gate in self.gates for row_id, parents in gate["restored"].items()}
        return [
            unit
            for row_id in ids
            for unit in (self.merges[row_id].parents if row_id in self.merges else restored.get(row_id, [row_id]))
        ]

    def of_gates(self, key: str) -> list[str]:
        """Return the ids under a key of all gates' records."""
        return [row_id for gate in self.gates for row_id in gate[key]]


def stages_of(records: Records) -> list[CheckedStage]:
    """Return the mergers of a run, in order; without a merger, the operator whose rows are checked.

    :param records: the records of its operators.
    """
    stages: list[CheckedStage] = []
    gates_alone: list[Record] = []
    for record in records.operators:
        if kind_of(record) == MERGER:
            stages.append(_stage_of(record))
        elif kind_of(record) == GATE and "entered" in record:
            if not stages:
                gates_alone.append(record)
                continue
            last = stages[-1]
            stages[-1] = _behind_gate(last, record)
    if stages:
        if GATE in records.missing:
            stages[-1] = replace(stages[-1], is_open=True)
        return stages
    if gates_alone:
        # These rows are from an earlier run and brought their merges with them.
        stage = CheckedStage(GATE, None, tells_merges=True)
        for record in gates_alone:
            stage = _behind_gate(stage, record)
        return [replace(stage, entered=tuple(stage.units(gates_alone[0]["entered"])), is_open=GATE in records.missing)]
    for record in records.of_kind(FLATTENER)[-1:]:
        if "left" in record:
            return [CheckedStage(FLATTENER, tuple(record["left"]))]
    if records.of_kind(SELECTOR):
        return [CheckedStage(SELECTOR, None)]
    # A gate that saw no merged row is a plain filter.
    if records.operators and GATE not in records.missing and not records.steps.of_kinds(_NOT_PLAIN):
        return [CheckedStage("", None)]
    return [CheckedStage(MERGER, None)]


def _stage_of(record: Record) -> CheckedStage:
    parameters = record.get("parameters") or {}
    derived = frozenset(parameters.get("derived_columns") or ())
    return CheckedStage(
        MERGER,
        None if record.get("entered") is None else tuple(record["entered"]),
        merges=_known(record.get("merges") or {}, record, derived),
        tells_merges="merges" in record,
        contents=record.get("contents") or {},
        inexact=frozenset(record.get("inexact") or ()),
    )


def _behind_gate(stage: CheckedStage, record: Record) -> CheckedStage:
    derived = frozenset(name for merge in stage.merges.values() for name in merge.derived)
    accepted = _known(record["accepted"], record, derived)
    for row_id, merge in accepted.items():
        before = stage.merges.get(row_id)
        if before is not None and merge.row is None and merge.text == before.text:
            accepted[row_id] = before
    return replace(stage, gates=(*stage.gates, record), merges={**stage.merges, **accepted})


def _known(merges: Mapping[str, Record], record: Record, derived: Collection[str]) -> dict[str, KnownMerge]:
    inexact = frozenset(record.get("inexact") or ())
    return {
        row_id: KnownMerge(tuple(merge["parents"]), merge["text"], merge.get("row"), inexact, frozenset(derived))
        for row_id, merge in merges.items()
    }
