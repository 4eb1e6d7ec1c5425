"""The parts of a run that the conservation law speaks of, from its records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mergeit_ops.finished.blame import GATE, MERGER, REVERSE_GROUPER, SELECTOR
from mergeit_ops.finished.records import Record
from mergeit_ops.finished.run import FinishedRun


@dataclass(frozen=True)
class Stage:
    """One merger, or what stands in for it where a recipe has none, and the gates behind it.

    :param name: registry name of the operator.
    :param entered: ids of the rows that the law is about; None where no record tells.
    :param gates: records of the gates behind it that tell ids.
    :param merges: of each merged row: its parents' ids, and a digest of its text.
    """

    name: str
    entered: tuple[str, ...] | None
    gates: tuple[Record, ...] = ()
    merges: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def verb(self) -> str:
        """Return what its rows did, for a sentence."""
        return {MERGER: "entered the merger", GATE: "entered the gate"}.get(self.name, "was selected")

    @property
    def merges_rows(self) -> bool:
        """Tell whether its rows have a merge status."""
        return self.name in (MERGER, GATE)

    def units(self, ids: Sequence[str]) -> list[str]:
        """Return ids with each merged row replaced by its parents."""
        restored = {row_id: parents for gate in self.gates for row_id, parents in gate["restored"].items()}
        return [
            unit
            for row_id in ids
            for unit in (self.merges[row_id]["parents"] if row_id in self.merges else restored.get(row_id, [row_id]))
        ]

    def of_gates(self, key: str) -> list[str]:
        """Return the ids under a key of all gates' records."""
        return [row_id for gate in self.gates for row_id in gate[key]]

    def given_back(self) -> set[str]:
        """Return the ids of the parents that the gates gave back."""
        return {row_id for gate in self.gates for parents in gate["restored"].values() for row_id in parents}


def stages_of(run: FinishedRun) -> list[Stage]:
    """Return the mergers of a run, in order; where it has none, the one operator whose rows the law is about.

    :param run: the run.
    """
    stages: list[Stage] = []
    gates_alone: list[Record] = []
    for record in run.records.operators:
        if record["operator"] == MERGER:
            entered = None if record.get("entered") is None else tuple(record["entered"])
            stages.append(Stage(MERGER, entered, (), dict(record.get("merges") or {})))
        elif record["operator"] == GATE and "entered" in record:
            if not stages:
                gates_alone.append(record)
                continue
            last = stages[-1]
            stages[-1] = Stage(MERGER, last.entered, (*last.gates, record), {**last.merges, **record["accepted"]})
    if stages:
        return stages
    if gates_alone:
        # Rows of an earlier run, which brought their merges with them.
        merges = {row_id: merge for gate in gates_alone for row_id, merge in gate["accepted"].items()}
        stage = Stage(GATE, None, tuple(gates_alone), merges)
        return [Stage(GATE, tuple(stage.units(gates_alone[0]["entered"])), stage.gates, merges)]
    for record in run.of_operator(REVERSE_GROUPER)[-1:]:
        if "left" in record:
            return [Stage(REVERSE_GROUPER, tuple(record["left"]))]
    if run.of_operator(SELECTOR) and not run.has_lineage:
        return [Stage(SELECTOR, None)]
    return [Stage(MERGER, None)]
