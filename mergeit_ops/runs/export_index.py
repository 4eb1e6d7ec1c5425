"""The content of an export, by row id: which rows are separate rows, and which are part of a merged row."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from mergeit_ops.core.columns import META
from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.rows import lineage
from mergeit_ops.core.rows.identity import base_id, content_digest, exact_digest, sample_digest
from mergeit_ops.core.rows.lossless import decode_row
from mergeit_ops.errors import DatasetError
from mergeit_ops.runs.comparing import same_value
from mergeit_ops.runs.recipe_steps import SELECTOR
from mergeit_ops.runs.rows import ExportRow, Lineage, content_of
from mergeit_ops.runs.stages import CheckedStage, KnownMerge

KEPT = "kept"
"""Status of a row that was selected and did not pass through a merger."""


@dataclass(frozen=True)
class Place:
    """The place of a row in the export.

    :param row: number of the row of the export, from 1.
    :param status: `original`, `merged`, `restored` or `kept`.
    :param parent: which of the merged row's parents it is, from 1; None for a separate row.
    :param reason: why its merge failed or was rejected.
    :param merge: id of the merged row that it is a parent of; None for a separate row.
    """

    row: int
    status: str
    parent: int | None = None
    reason: str | None = None
    merge: str | None = None


@dataclass(frozen=True)
class Suspect:
    """A row whose content does not match its id exactly.

    :param place: where it is.
    :param row_id: its id.
    :param content: its columns.
    """

    place: Place
    row_id: str
    content: Mapping[str, Any]


class ExportIndex:
    """The content of an export, recorded row by row.

    :param stage: the records of the last merger and its gates, or of the operator in their place.
    :param earlier: the merges of the mergers before it, by row id; None without a record.
    :param layout_of: returns the layout of rows with some columns; None if it is unknown.
    :param expected: row ids of the input; for other rows the question is kept.
    :param linked: whether a row of an earlier merge must be unchanged.
    :param columns: the columns that identify rows without lineage, if operators have added others; None: all.
    :param origins: function that returns what may identify a row without metadata before it was rewritten.
    :param input_columns: columns of the input; rows may have more, which operators have added.

    `places` maps a row id to its places, `first_ids` the ids that rows had in the first of several mergers. `unmatched`
    maps unexpected ids to the questions of their rows, `narrowed` to the digests of their columns that the input has,
    and `added` has the names of their other columns. `suspects` are rows that do not match their id, `broken` and
    `altered` are sentences about merged rows, `widened` are sentences about merged rows that only have more columns,
    each with these columns, and `unlabelled` are rows without lineage, by digest and whether they have no metadata.
    """

    def __init__(
        self,
        stage: CheckedStage,
        earlier: Mapping[str, KnownMerge] | None,
        layout_of: Callable[[Sequence[str]], SampleFormat | None],
        expected: Collection[str],
        linked: bool,
        columns: Collection[str] | None = None,
        origins: Callable[[str], Sequence[str]] = lambda digest: [digest],
        input_columns: Collection[str] = (),
    ) -> None:
        self._stage = stage
        self._input_columns = frozenset(input_columns)
        self._earlier = earlier
        self._linked = linked
        self._columns = columns
        self._origins = origins
        self._ids_by_text: dict[str, list[str]] = {}
        for row_id, merge in stage.standing.items():
            self._ids_by_text.setdefault(merge.text, []).append(row_id)
        self._layout_of = layout_of
        self._layouts: dict[tuple[str, ...], SampleFormat | None] = {}
        self._expected = expected
        self.rows = 0
        self.labelled = 0
        self.merged_rows = 0
        self.unread_merges = 0
        self.places: dict[str, list[Place]] = {}
        self.first_ids: dict[str, list[Place]] = {}
        self.unmatched: dict[str, str] = {}
        self.narrowed: dict[str, str] = {}
        self.added: dict[str, None] = {}
        self.suspects: list[Suspect] = []
        self.broken: list[str] = []
        self.altered: list[str] = []
        self.widened: list[tuple[str, Sequence[str]]] = []
        self.unknown_merges: list[str] = []
        self.unlabelled: dict[tuple[str, bool], list[ExportRow]] = {}
        self.first_unlabelled: str | None = None

    def add(self, row: ExportRow, bare: bool = False) -> None:
        """Record a row.

        :param row: the row as it was before it was rewritten, if its metadata tell.
        :param bare: whether it has no metadata, so that it may have been rewritten.
        """
        self.rows += 1
        origin = row.lineage
        if self._stage.kind in (SELECTOR, "") or (origin.row_id is None and origin.status != lineage.MERGED):
            # After a flat selection or a filter, lineage of an earlier run says nothing about this run.
            self._add_unlabelled(row, bare)
            return
        self.labelled += 1
        if not self._stage.merges_rows:
            self._note(str(origin.row_id), Place(row.number, KEPT), row.content)
        elif origin.status == lineage.MERGED:
            self._add_merged(row)
        else:
            reason = origin.rejected or origin.error
            self._add_own(row.content, origin, Place(row.number, origin.status or KEPT, reason=reason))

    def _add_own(self, content: Mapping[str, Any], origin: Lineage, place: Place) -> None:
        """Record a row that entered, as a separate row or as a parent."""
        if origin.row_id is not None:
            self._note(origin.row_id, place, content)
        try:
            for first in first_ids(origin):
                self.first_ids.setdefault(first, []).append(place)
            self._check_history(content, origin, place)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.broken.append(f"The merge_history of row {place.row} cannot be read ({error}).")

    def _add_merged(self, row: ExportRow) -> None:
        self.merged_rows += 1
        origin = row.lineage
        if len(origin.parent_texts) != len(origin.parent_ids) or len(origin.parent_ids) < 2:
            self.broken.append(
                f"{row.where} names {len(origin.parent_ids)} parents and holds {len(origin.parent_texts)}."
            )
        try:
            parents = list(zip(row.parents, row.parent_lineages, strict=True))
        except DatasetError as error:
            self.broken.append(str(error))
            return
        for number, (content, parent) in enumerate(parents, start=1):
            named = origin.parent_ids[number - 1] if number <= len(origin.parent_ids) else None
            if named != parent.row_id:
                self.broken.append(f"Parent {number} of {row.where} is not the row that its merge_parent_ids name.")
            self._add_own(content, parent, Place(row.number, lineage.MERGED, number, merge=origin.row_id))
        merge = self._stage.merges.get(origin.row_id or "")
        if merge is None:
            self.unknown_merges.append(row.where)
            return
        if origin.row_id not in self._stage.standing:
            self.broken.append(self._fallen_sentence(row))
        if merge.parents != origin.parent_ids:
            self.broken.append(f"The merged {row.where} has other parents than the record of its merge.")
        self._check_merge(row, merge)

    def _fallen_sentence(self, row: ExportRow) -> str:
        row_id = row.lineage.row_id
        if row_id in self._stage.rejected:
            return f"The merged {row.where} is a merge that the gate rejected: its parents should be there instead."
        if row_id in self._stage.of_gates("dropped"):
            return (
                f"The merged {row.where} was dropped by the gate's min_score or max_score, according to the gate's "
                "record."
            )
        return f"The merged {row.where} never left the gate, according to the gate's record."

    def _check_merge(self, row: ExportRow, merge: KnownMerge) -> None:
        """Compare a merged row with its record and its parents."""
        layout = self._layout_for(tuple(row.parents[0])) if row.parents else None
        if layout is None and merge.row is None:
            self.unread_merges += 1
            return
        if layout is not None:
            if sample_digest(layout.read(row.content).sample) != merge.text:
                self.altered.append(f"The text of the merged {row.where} differs from the text that the record has.")
                return
            expected = _as_merged(row, layout)
            missing = [name for name in expected if name not in row.content and name not in merge.derived]
            if missing:
                self.altered.append(
                    f"The merged {row.where} lacks columns that its parents have: {', '.join(missing)}."
                )
                return
            if odd := [name for name in _odd_columns(row.content, expected) if name not in merge.derived]:
                said = f"The merged {row.where} has values in {', '.join(odd)} that do not come from its parents."
                as_merged = merge.row in (None, exact_digest(without(row.content, odd), merge.inexact))
                if as_merged and not any(name in expected for name in odd):
                    self.widened.append((said, odd))
                else:
                    self.altered.append(said)
                return
        if merge.row is not None and exact_digest(row.content, merge.inexact) != merge.row:
            self.altered.append(f"The merged {row.where} is not as it was merged: a column has changed.")

    def _check_history(self, content: Mapping[str, Any], origin: Lineage, place: Place) -> None:
        """Compare the earlier merges in a row's history with their records."""
        if self._earlier is None:
            return
        history = [Lineage(json.loads(text)) for text in origin.history]
        for past in history:
            if past.status != lineage.MERGED:
                continue
            merge = self._earlier.get(past.row_id or "")
            where = f"Row {place.row} of the export"
            if merge is None or merge.parents != past.parent_ids or len(past.parent_texts) != len(merge.parents):
                self.broken.append(
                    f"{where} comes from an earlier merge that is not recorded, or that has other parents."
                )
                continue
            for named, text in zip(past.parent_ids, past.parent_texts, strict=True):
                fields = decode_row(text)
                meta = fields.pop(META, None) or {}
                if meta.get(lineage.ROW_ID) != named:
                    self.broken.append(f"{where} has a parent from an earlier merge that is not the row {named}.")
                self._suspect(named, place, content_of(fields))
            is_last = past is history[-1]
            if is_last and self._linked and merge.row not in (None, exact_digest(content, merge.inexact)):
                self.broken.append(f"{where} differs from the row of the earlier merge that its merge_history names.")

    def _add_unlabelled(self, row: ExportRow, bare: bool) -> None:
        """Identify a row without lineage by its content: a merged row by its text, others by all columns."""
        self.first_unlabelled = self.first_unlabelled or row.where
        layout = self._layout_for(tuple(row.content)) if self._ids_by_text else None
        ids = [] if layout is None else self._ids_by_text.get(sample_digest(layout.read(row.content).sample), [])
        if not ids:
            known = self._columns
            content = {name: value for name, value in row.content.items() if known is None or name in known}
            self.unlabelled.setdefault((content_digest(content), bare), []).append(row)
            return
        merges = self._stage.standing
        whole = (at for at in ids if merges[at].row in (None, exact_digest(row.content, merges[at].inexact)))
        merged = next(whole, None)
        if merged is None:
            merged = ids[0]
            self.altered.append(f"The merged {row.where} is not as it was merged: a column has changed.")
        if len(ids) > 1:
            # If several merges have one text, each is found once; further rows get the last one.
            ids.remove(merged)
        self.merged_rows += 1
        for number, parent in enumerate(merges[merged].parents, start=1):
            place = Place(row.number, lineage.MERGED, number, merge=merged)
            self.places.setdefault(parent, []).append(place)

    def settle_unlabelled(
        self, known: Collection[str], statuses: Mapping[str, str], names_of: Callable[[str], Collection[str]]
    ) -> int:
        """Give rows without lineage the ids of known rows with the same content that were not found elsewhere.

        :param known: ids.
        :param statuses: maps ids to their statuses in the record; others are `original`.
        :param names_of: function that returns what identifies the row with an id, such as the hash of its content.
        :return: number of rows that were identified by their content.
        """
        told = 0
        rewritten = self._rewritten()
        for row_id in known:
            if row_id in self.places:
                continue
            names = names_of(row_id)
            before = chain.from_iterable(rewritten.get(name, ()) for name in names)
            same = (self.unlabelled.get((name, bare)) for name in names for bare in (True, False))
            rows = next(filter(None, chain(before, same)), None)
            if rows:
                row = rows.pop(0)
                told += 1
                self.places[row_id] = [Place(row.number, statuses.get(row_id, lineage.ORIGINAL))]
        self.unlabelled = {digest: rows for digest, rows in self.unlabelled.items() if rows}
        return told

    def _rewritten(self) -> dict[str, list[list[ExportRow]]]:
        """Return the rows without lineage that may have been rewritten, by what may have identified them before."""
        found: dict[str, list[list[ExportRow]]] = {}
        for (digest, bare), rows in self.unlabelled.items():
            for origin in self._origins(digest) if bare else ():
                if origin != digest:
                    found.setdefault(origin, []).append(rows)
        return found

    def _note(self, row_id: str, place: Place, content: Mapping[str, Any]) -> None:
        self.places.setdefault(row_id, []).append(place)
        self._suspect(row_id, place, content)
        if row_id not in self._expected:
            layout = self._layout_for(tuple(content))
            if layout is not None:
                self.unmatched[row_id] = text_key(layout, content)
            if added := [name for name in content if name not in self._input_columns]:
                self.narrowed[row_id] = content_digest(without(content, added))
                self.added |= dict.fromkeys(added)

    def _suspect(self, row_id: str, place: Place, content: Mapping[str, Any]) -> None:
        if content_digest(content) != base_id(row_id):
            self.suspects.append(Suspect(place, row_id, content))

    def _layout_for(self, columns: tuple[str, ...]) -> SampleFormat | None:
        if columns not in self._layouts:
            self._layouts[columns] = self._layout_of(columns)
        return self._layouts[columns]

    def reasons(self, status: str) -> Counter[str]:
        """Count the reasons of the rows with a status."""
        return Counter(
            place.reason
            for places in self.places.values()
            for place in places
            if place.status == status and place.reason
        )


def without(content: Mapping[str, Any], columns: Collection[str]) -> dict[str, Any]:
    """Return a row without some of its columns."""
    return {name: value for name, value in content.items() if name not in columns}


def text_key(layout: SampleFormat, content: Mapping[str, Any]) -> str:
    """Return the question of a row, ignoring case, which identifies the row even if its other texts have been
    cleaned."""
    return layout.read(content).sample.query.lower()


def first_ids(origin: Lineage) -> Iterator[str]:
    """Yield the ids that a row, or the rows from which it was made, had when they first entered a merger.

    :param origin: the row's lineage, with that of earlier merges in its history.
    """
    if not origin.history:
        if origin.row_id is not None:
            yield origin.row_id
        return
    last = Lineage(json.loads(origin.history[-1]))
    earlier = {lineage.HISTORY: list(origin.history[:-1])}
    if last.status == lineage.MERGED:
        for text in last.parent_texts:
            yield from first_ids(Lineage(decode_row(text).get(META) or {}))
    else:
        yield from first_ids(Lineage({**last.meta, **earlier}))


def _as_merged(row: ExportRow, layout: SampleFormat) -> Mapping[str, Any]:
    """Return the columns of a merged row with this text and these parents."""
    from mergeit_ops.dataset.merge_table import merged_row

    try:
        return merged_row(layout, layout.read(row.content).sample, row.parents)
    except (KeyError, TypeError, IndexError):
        # No layout would have merged these parents.
        return {}


def _odd_columns(content: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    return [name for name in content if name not in expected or not same_value(content[name], expected[name])]
