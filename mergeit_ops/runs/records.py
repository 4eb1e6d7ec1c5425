"""Find the records of a run's operators in its work dir."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mergeit_ops.dataset.manifest import EXPORT_PATH, MANIFEST_DIR, PROCESS, ROLES, RUNNING, read_manifests
from mergeit_ops.runs.recipe_steps import FLATTENER, GATE, MERGER, REWRITER, RecipeSteps, Role, kind_of

Record = Mapping[str, Any]

_THE_LAW_READS = (MERGER, GATE, FLATTENER, REWRITER)


@dataclass(frozen=True)
class Records:
    """The records in a run's work dir.

    :param operators: the record of each of our operators, in the order of the recipe.
    :param process: names of all operators of the recipe, in order; empty if the records do not name them.
    :param roles: role of each operator of ours in the recipe, by registry name.
    """

    operators: tuple[Record, ...] = ()
    process: tuple[str, ...] = ()
    roles: Mapping[str, Role] = field(default_factory=dict)

    @property
    def steps(self) -> RecipeSteps:
        """Return the operators of the recipe."""
        return RecipeSteps(self.process, self.roles)

    @property
    def stopped(self) -> bool:
        """Return whether the run stopped with an error or was killed, so that it exported nothing."""
        return any("stopped" in record or record.get("state") == RUNNING for record in self.operators)

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the kinds of the operators that should have a record of their rows but have no finished one."""
        there = Counter(kind_of(record) for record in self.operators if _is_finished(record))
        kinds = (str(self.roles.get(name, {}).get("kind")) for name in self.process)
        wanted = Counter(kind for kind in kinds if kind in _THE_LAW_READS)
        return tuple((wanted - there).elements())

    @property
    def complete(self) -> bool:
        """Return whether the run was completed, according to the records."""
        return not self.stopped and not self.missing

    @property
    def drops(self) -> dict[str, str]:
        """Return the ids of the rows that operators have dropped according to their records, each with the operator's
        name.

        Rows that gates dropped are not included; see `CheckedStage`.
        """
        return {
            row_id: str(record["operator"])
            for record in self.operators
            if kind_of(record) != GATE
            for row_id in record.get("dropped") or ()
        }

    @property
    def dry(self) -> list[str]:
        """Return the operators that only counted the calls that they would make, in the order of the recipe."""
        return [str(record["operator"]) for record in self.operators if "planned_calls" in record.get("figures", {})]

    def of_kind(self, kind: str) -> list[Record]:
        """Return the records of the operators of a kind, in the order of the recipe.

        :param kind: the kind, such as `MERGER`.
        """
        return [record for record in self.operators if kind_of(record) == kind]


@dataclass(frozen=True)
class RecordedRun:
    """A run with records.

    :param work_dir: the work dir with the records.
    :param records: the records.
    """

    work_dir: Path
    records: Records

    def wrote(self, export: Path) -> bool:
        """Return whether the records name an export."""
        return export.absolute() in self._exports

    def may_have_written(self, export: Path) -> bool:
        """Return whether the records may belong to an export in a folder that was moved, judged by its name."""
        return not self._exports or export.name in {path.name for path in self._exports}

    @property
    def _exports(self) -> set[Path]:
        return {Path(record[EXPORT_PATH]) for record in self.records.operators if record.get(EXPORT_PATH)}


def find_runs(export: Path) -> list[RecordedRun]:
    """Return the runs that may have written an export, the likeliest first.

    Data-Juicer makes a work dir beside the export (`<export folder>/<job id>`) unless the recipe sets `work_dir`.
    Completed runs come before killed ones, newer ones before older ones. A run that stopped with an error wrote no
    export.

    :param export: the path that the recipe names.
    """
    folder = export.absolute().parent
    if not folder.is_dir():
        return []
    there = [path for path in (folder, *folder.iterdir()) if (path / MANIFEST_DIR).is_dir()]
    found: list[RecordedRun] = []
    for work_dir in sorted(there, key=_newest, reverse=True):
        found += [run for run in read_runs(work_dir) if not run.records.stopped]
    by_path = [run for run in found if run.wrote(export)]
    by_name = [run for run in found if run.may_have_written(export)]
    return _complete_first(by_path or by_name)


def read_runs(work_dir: Path) -> list[RecordedRun]:
    """Return the runs of a work dir, completed ones first; a fixed `job_id` puts several runs there.

    A run that resumed from a checkpoint includes the operators that were already done.

    :param work_dir: the run's work dir, or its folder of records.
    """
    folder = work_dir.parent if work_dir.name == MANIFEST_DIR else work_dir
    runs: dict[str, list[Record]] = {}
    for record in read_manifests(folder):
        runs.setdefault(record["run"], []).append(record)
    found: list[Records] = []
    for of_one in runs.values():
        later = Records(tuple(of_one), tuple(of_one[0].get(PROCESS) or ()), _roles_in(of_one))
        found.append(_resumed(found[-1], later) if found else later)
    return _complete_first([RecordedRun(folder, records) for records in reversed(found)])


def _complete_first(runs: list[RecordedRun]) -> list[RecordedRun]:
    return sorted(runs, key=lambda run: not run.records.complete)


def _is_finished(record: Record) -> bool:
    return not {"stopped", "incomplete"} & set(record) and record.get("state", "done") == "done"


def _resumed(earlier: Records, later: Records) -> Records:
    """Return the later of two runs, together with the operators that the earlier run had finished
    (`use_checkpoint`)."""
    done = len(earlier.process) - len(later.process)
    if done <= 0 or not later.process or earlier.process[done:] != later.process:
        return later
    ours = {record["operator"] for record in (*earlier.operators, *later.operators)}
    before = sum(name in ours for name in earlier.process[:done])
    return Records((*earlier.operators[:before], *later.operators), earlier.process, {**earlier.roles, **later.roles})


def _roles_in(records: list[Record]) -> dict[str, Role]:
    """Return the roles of our operators: all in the recipe if the records name them, otherwise those with a record."""
    own = {record["operator"]: record["role"] for record in records if isinstance(record.get("role"), Mapping)}
    told = records[0].get(ROLES)
    return own | dict(told) if isinstance(told, Mapping) else own


def _newest(work_dir: Path) -> float:
    return max((path.stat().st_mtime for path in (work_dir / MANIFEST_DIR).glob("*.json")), default=0.0)
