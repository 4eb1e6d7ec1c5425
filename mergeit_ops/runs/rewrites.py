"""Rewritten rows of a finished run: their content before, and whether it is proved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.rows import rewrites, sources
from mergeit_ops.core.rows.identity import content_digest, sample_digest
from mergeit_ops.errors import DatasetError
from mergeit_ops.runs.recipe_steps import FLATTENER, GATE, MERGER, REWRITER
from mergeit_ops.runs.records import Record, Records
from mergeit_ops.runs.rows import ExportRow, Lineage, content_of

__all__ = ["Rewrites"]

_GIVE_IDS = (MERGER, GATE, FLATTENER)


@dataclass(frozen=True)
class _Step:
    """The content of an operator's record.

    :param digests: maps the id of each original row to the hash of the rewritten row and the hash of its texts.
    :param columns: for samples that were made from texts: the column of the `text`, and the columns that were
        `written`.
    """

    digests: Mapping[str, Sequence[str]]
    columns: Mapping[str, Any] | None

    @classmethod
    def of(cls, record: Record) -> _Step:
        return cls(record.get("rewrites") or {}, record.get("source_columns"))

    def known(self, meta: Mapping[str, Any]) -> Sequence[str] | None:
        """Return the recorded hashes of a row, found by its metadata; None if the operator did not write it."""
        if self.columns is not None:
            return self.digests.get(str(meta.get(sources.SOURCE_ID)))
        return self.digests.get(str(meta.get(rewrites.PARENT_ID))) if _is_rewritten(meta) else None

    @cached_property
    def parents(self) -> dict[str, list[str]]:
        """Return a mapping from the hash of each rewritten row to the ids of the rows that became it."""
        found: dict[str, list[str]] = {}
        for parent, (whole, _) in self.digests.items():
            found.setdefault(whole, []).append(parent)
        return found

    def origins(self, name: str) -> list[str]:
        """Return the names of the rows that may have become a row, the likeliest first.

        :param name: hash of the row's content, or its id.
        """
        parents = self.parents.get(name, [])
        # If a row of this content was rewritten itself, this is hardly that row.
        return [*parents, name] if name in self.digests else [name, *parents]


class Rewrites:
    """The rows that the operators of a run have rewritten, according to its records.

    :param records: records of the run.
    :param kind: kind of the operator whose rows are checked. If it gives rows their ids, rewriting after the last
        operator of that kind is undone in the export, because ids are those of the rows that entered it; otherwise all
        rewriting is undone, because rows are compared with the input.
    :param layout: layout of the samples; None if it is unknown.

    `broken` are sentences about rows that contradict the records, `altered` about rows that a later operator may have
    changed. `undone` is the number of rows whose rewriting was undone.
    """

    def __init__(self, records: Records, kind: str, layout: SampleFormat | None) -> None:
        steps = records.steps
        self._steps = [_Step.of(record) for record in records.of_kind(REWRITER)]
        gives_ids = kind in _GIVE_IDS and steps.of_kinds((kind,))
        behind = len(steps.behind(kind).of_kind(REWRITER)) if gives_ids else len(self._steps)
        self._first = max(0, len(self._steps) - behind)
        self._layout = layout
        self.undone = 0
        self.broken: list[str] = []
        self.altered: list[str] = []

    def before(self, row: ExportRow) -> ExportRow:
        """Return a row of the export as it was before it was rewritten; other rows are returned unchanged."""
        first = row
        for step in reversed(self._steps[self._first :]):
            known = step.known(row.lineage.meta)
            if known is None:
                continue
            self._compare(row, known)
            parent = self._parent(row) if step.columns is None else _of_text(row, step.columns)
            if parent is None:
                return row
            row = parent
        self.undone += row is not first
        return row

    def _compare(self, row: ExportRow, known: Sequence[str]) -> None:
        whole, text = known
        if content_digest(row.content) == whole:
            return
        # The export may have rounded other columns.
        if self._layout is None or sample_digest(self._layout.read(row.content).sample) != text:
            self.altered.append(f"The texts of the rewritten {row.where} differ from those that the record has.")

    def _parent(self, row: ExportRow) -> ExportRow | None:
        try:
            before = row.before_rewriting
        except DatasetError as error:
            self.broken.append(str(error))
            return None
        if rewrites.id_of(before.content, before.lineage.meta) != row.lineage.meta[rewrites.PARENT_ID]:
            self.broken.append(f"The rewrite_parent of {row.where} is not the row that its rewrite_parent_id names.")
        return replace(before, content=content_of(before.content))

    def origins(self, name: str, in_export: bool = False) -> list[str]:
        """Return the names of the rows that may have become a row by rewriting, the likeliest first. Several rows may
        have become the same.

        :param name: hash of the content of a row.
        :param in_export: whether it is a row of the export; otherwise it is a row that entered the operator whose rows
            are checked.
        :return: ids that rows brought, ids from an earlier run, or hashes of contents; `name` itself is among them.
        """
        found = [name]
        for step in reversed(self._steps[self._first :] if in_export else self._steps[: self._first]):
            found = list(dict.fromkeys(origin for one in found for origin in step.origins(one)))
        return found


def _is_rewritten(meta: Mapping[str, Any]) -> bool:
    return meta.get(rewrites.STATUS) == rewrites.REWRITTEN


def _of_text(row: ExportRow, columns: Mapping[str, Any]) -> ExportRow:
    """Return the row with the text from which a sample was made. Only INPUT shows whether there was such a row."""
    content, before = sources.restored(
        row.content, row.lineage.meta, text_key=columns["text"], written=columns["written"]
    )
    return replace(row, content=content, lineage=Lineage(before))
