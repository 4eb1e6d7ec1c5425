"""Finding the records that the operators of a run have left in its work dir."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mergeit_ops.dataset.manifest import EXPORT_PATH, MANIFEST_DIR, PROCESS, RUNNING, read_manifests
from mergeit_ops.errors import DatasetError

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Records:
    """What a run has left in its work dir.

    :param operators: a record of each of our operators, in the order of the recipe.
    :param process: names of all operators of the recipe, in order; empty where the records do not tell.
    """

    operators: tuple[Record, ...] = ()
    process: tuple[str, ...] = ()

    @property
    def stopped(self) -> bool:
        """Tell whether the run has stopped with an error, or was killed, so that it has exported nothing."""
        return any("stopped" in record or record.get("state") == RUNNING for record in self.operators)


def find_work_dir(export: Path) -> Path | None:
    """Return the work dir of the run that has written an export, or None.

    Data-Juicer makes it beside the export (`<export folder>/<job id>`) unless the recipe sets `work_dir`. Of several
    it is the newest whose records name the export; a run that stopped has written none.

    :param export: the path that the recipe names.
    """
    folder = export.absolute().parent
    if not folder.is_dir():
        return None
    there = [path for path in (folder, *folder.iterdir()) if (path / MANIFEST_DIR).is_dir()]
    runs = [(path, records) for path in there if (records := _readable(path)).operators and not records.stopped]
    by_path = [path for path, records in runs if export.absolute() in _exports(records)]
    # Records of a folder that was moved name another place: the name of the file must do.
    by_name = [path for path, records in runs if not (names := _exports(records)) or export.name in _names(names)]
    return max(by_path or by_name, key=_newest, default=None)


def read_records(work_dir: Path) -> Records:
    """Return the records of the last run in a work dir; those of a checkpoint that it went on from come first.

    :param work_dir: the run's work dir, or its folder of records.
    :raises DatasetError: if a record cannot be read.
    """
    folder = work_dir.parent if work_dir.name == MANIFEST_DIR else work_dir
    try:
        found = read_manifests(folder)
    except (OSError, ValueError) as error:
        raise DatasetError(f"The records in {folder / MANIFEST_DIR} cannot be read ({error}).") from error
    if any(not isinstance(record, dict) or not {"operator", "run", "figures"} <= set(record) for record in found):
        raise DatasetError(f"{folder / MANIFEST_DIR} holds files that are no records of an operator.")
    runs: dict[str, list[Record]] = {}
    for record in found:
        runs.setdefault(record["run"], []).append(record)
    records = Records()
    for of_one in runs.values():
        records = _resumed(records, Records(tuple(of_one), tuple(of_one[0].get(PROCESS) or ())))
    return records


def _readable(work_dir: Path) -> Records:
    """Return the records in a work dir; none where they cannot be read: a run that was killed may leave half a one."""
    try:
        return read_records(work_dir)
    except DatasetError:
        return Records()


def _resumed(earlier: Records, later: Records) -> Records:
    """Return the later of two runs, together with what it found done by the earlier (`use_checkpoint`)."""
    done = len(earlier.process) - len(later.process)
    if done <= 0 or not later.process or earlier.process[done:] != later.process:
        return later
    ours = {record["operator"] for record in (*earlier.operators, *later.operators)}
    before = sum(name in ours for name in earlier.process[:done])
    return Records((*earlier.operators[:before], *later.operators), earlier.process)


def _exports(records: Records) -> set[Path]:
    return {Path(record[EXPORT_PATH]) for record in records.operators if record.get(EXPORT_PATH)}


def _names(paths: Sequence[Path] | set[Path]) -> set[str]:
    return {path.name for path in paths}


def _newest(work_dir: Path) -> float:
    return max(path.stat().st_mtime for path in (work_dir / MANIFEST_DIR).glob("*.json"))
