"""A finished run: its export, and the records of its operators."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

from mergeit_ops.core.columns import META, STATS, is_content
from mergeit_ops.core.formats import SampleFormat, resolve_format
from mergeit_ops.core.rows import lineage, rewrites, sources
from mergeit_ops.errors import DatasetError, LineageMismatchError
from mergeit_ops.runs.export_files import export_files, named_export, read_rows, stats_file
from mergeit_ops.runs.likeness import likeness
from mergeit_ops.runs.records import Record, RecordedRun, Records, find_runs, read_runs
from mergeit_ops.runs.rows import ExportRow, Lineage, Quality, content_of

_LAYOUT_PARAMETERS = ("instruction_key", "query_key", "response_key", "system_key", "history_key")


@dataclass(frozen=True)
class FinishedRun:
    """A finished run. Rows are read only when needed, and each time from the start.

    :param export: path of the export, as given.
    :param files: the files of the export, in the order of its rows.
    :param beside: the file with metadata and stats, if they are not in the export; otherwise None.
    :param work_dir: the run's work dir; None if none was found.
    :param records: the records of the operators; empty without a work dir.
    :param columns: the user's columns.
    :param has_lineage: whether rows record their origin. They do not after a flat selection, nor on Ray with
        `keep_stats_in_res_ds: false` if the dataset brought metadata.
    """

    export: Path
    files: tuple[Path, ...]
    beside: Path | None
    work_dir: Path | None
    records: Records
    columns: tuple[str, ...]
    has_lineage: bool
    _parameters: dict[str, Any] = field(default_factory=dict, repr=False)

    def rows(self) -> Iterator[ExportRow]:
        """Yield the rows of the export, in order.

        :raises DatasetError: if a row cannot be read.
        :raises LineageMismatchError: if the export and the metadata beside it differ in length.
        """
        beside = None if self.beside is None else read_rows(self.beside)
        number = 0
        for file in self.files:
            for line, row in enumerate(read_rows(file), start=1):
                number += 1
                if beside is not None:
                    found = next(beside, None)
                    row |= self._mismatch(number) if found is None else found
                yield ExportRow(
                    number, file, line, content_of(row), Lineage(row.get(META) or {}), Quality(row.get(STATS) or {})
                )
        if beside is not None and next(beside, None) is not None:
            self._mismatch(number)

    def layout(self, columns: Sequence[str] | None = None) -> SampleFormat:
        """Return the layout of the samples, to read instruction and response of rows and parents.

        :param columns: columns of the rows to read; None: those of the export.
        :raises DatasetError: if it is unknown.
        """
        given = {name: self._parameters.get(name) for name in _LAYOUT_PARAMETERS}
        try:
            return resolve_format(self._parameters.get("sample_format", "auto"), columns or self.columns, **given)
        except ValueError as error:
            raise DatasetError(f"{self.export}: {error}.") from error

    def layout_or_none(self, columns: Sequence[str] | None = None) -> SampleFormat | None:
        """Return the layout of the samples; None if it is unknown.

        :param columns: columns of the rows to read; None: those of the export.
        """
        try:
            return self.layout(columns)
        except DatasetError:
            return None

    def of_kind(self, kind: str) -> list[Record]:
        """Return the records of the operators of a kind, in the order of the recipe.

        :param kind: the kind, such as `MERGER`.
        """
        return self.records.of_kind(kind)

    def _mismatch(self, number: int) -> NoReturn:
        assert self.beside is not None
        raise LineageMismatchError(
            f"{self.export} and {self.beside.name} beside it differ in length from row {number} on: rows were added to "
            "one of them, or taken away, after the run."
        )


def read_run(export: str | os.PathLike[str], work_dir: str | os.PathLike[str] | None = None) -> FinishedRun:
    """Find the export and the records of a finished run.

    :param export: the exported file; one of its shards, or the path that the recipe names for them; or the folder of a
        run on Ray.
    :param work_dir: the run's work dir; None: it is searched for beside the export.
    :return: the run; only the first row of each file has been read.
    :raises DatasetError: if the export does not exist or has no rows, a row cannot be read, or neither the export nor
        the work dir shows that operators of MergeIT-ops were used.
    """
    path = Path(export)
    files = tuple(export_files(path))
    named = named_export(path)
    firsts = [first for file in files if (first := next(read_rows(file), None)) is not None]
    if not firsts:
        raise DatasetError(f"{path} has no rows.")
    names = dict.fromkeys(chain.from_iterable(firsts))
    in_export = any(META in row for row in firsts)
    beside = None if in_export else stats_file(named)
    first = firsts[0] if beside is None else next(read_rows(beside), None) or {}
    has_lineage = bool({lineage.STATUS, lineage.ROW_ID, rewrites.STATUS, sources.STATUS} & set(first.get(META) or {}))
    candidates = _runs_of(named, None if work_dir is None else Path(work_dir))
    if not has_lineage and not candidates:
        raise DatasetError(
            f"{path} is not an export of a run with MergeIT-ops: its rows have no lineage in {META}, "
            f"{_beside_words(beside)}, and no records of a run were found beside it; --work-dir says where they are."
        )
    runs = [
        FinishedRun(
            export=path,
            files=files,
            beside=beside,
            work_dir=work_dir_of_one,
            records=records,
            columns=tuple(name for name in names if is_content(name)),
            has_lineage=has_lineage,
            _parameters=dict(records.operators[0].get("parameters") or {}) if records.operators else {},
        )
        for work_dir_of_one, records in candidates or [(None, Records())]
    ]
    return _most_alike(runs)


def _runs_of(export: Path, work_dir: Path | None) -> list[tuple[Path | None, Records]]:
    found: list[RecordedRun] = find_runs(export) if work_dir is None else read_runs(work_dir)
    if work_dir is not None and not found:
        raise DatasetError(
            f"{work_dir} is not the work dir of a run with MergeIT-ops: it holds no records in mergeit/."
        )
    # A fixed `job_id` puts runs with other exports into one work dir, such as a dry run.
    return [(run.work_dir, run.records) for run in sorted(found, key=lambda run: not run.wrote(export))]


def _most_alike(runs: Sequence[FinishedRun]) -> FinishedRun:
    """Return the run whose rows are in an export; the first among equals."""
    complete = [run for run in runs if run.records.complete]
    best, found = (complete or runs)[0], -1.0
    if len(complete or runs) == 1:
        return best
    for run in complete or runs:
        alike = likeness(run)
        if alike > found:
            best, found = run, alike
        if alike == 1:
            break
    return best


def _beside_words(beside: Path | None) -> str:
    return "there is no _stats.jsonl beside it" if beside is None else f"nor has {beside.name} beside it"
