"""What an export holds, by row id: which rows stand in it as themselves, which inside a merged row."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mergeit_ops.core import lineage
from mergeit_ops.core.columns import META
from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.identity import content_digest, sample_digest
from mergeit_ops.core.lossless import decode_row
from mergeit_ops.finished.comparing import same_value
from mergeit_ops.finished.rows import ExportRow, Lineage

KEPT = "kept"
"""Status of a row that was selected, and met no merger."""

_CONTENT_ID = re.compile(r"([0-9a-f]{20})(-\d+)?")


@dataclass(frozen=True)
class Place:
    """Where a row is found.

    :param row: number of the row of the export, from 1.
    :param status: `original`, `merged`, `restored` or `kept`.
    :param parent: which of the merged row's parents it is, from 1; None for a row of its own.
    :param reason: why its merge failed or was rejected.
    """

    row: int
    status: str
    parent: int | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Suspect:
    """A row whose content is not, to the letter, what its id says.

    :param place: where it is.
    :param row_id: its id.
    :param content: its columns.
    """

    place: Place
    row_id: str
    content: Mapping[str, Any]


class Holdings:
    """What the rows of an export are, taken down row by row.

    :param texts: of each merged row that is on record, by row id, a digest of its text.
    :param parents: of each such row, its parents' ids.
    :param layout: layout of the samples; None where it cannot be told.
    :param expected: row ids of the input; of other rows it is remembered what they ask.
    :param derived: columns that merged rows were given anew.

    `places` maps a row id to where it is found, `first_ids` the ids that rows had in the first of several mergers;
    `strange` maps ids that were not expected to what their rows ask. `suspects` are rows that are not what their id
    says, `broken` and `altered` sentences on merged rows, `unlabelled` rows without lineage by their digest.
    """

    def __init__(
        self,
        texts: Mapping[str, str],
        parents: Mapping[str, Collection[str]],
        layout: SampleFormat | None,
        expected: Collection[str],
        derived: Collection[str] = (),
    ) -> None:
        self._texts = texts
        self._ids_by_text: dict[str, list[str]] = {}
        for row_id, text in texts.items():
            self._ids_by_text.setdefault(text, []).append(row_id)
        self._parents = parents
        self._layout = layout
        self._expected = expected
        self._derived = derived
        self.rows = 0
        self.merged_rows = 0
        self.unread_merges = 0
        self.places: dict[str, list[Place]] = {}
        self.first_ids: dict[str, list[Place]] = {}
        self.strange: dict[str, str] = {}
        self.suspects: list[Suspect] = []
        self.broken: list[str] = []
        self.altered: list[str] = []
        self.unknown_merges: list[str] = []
        self.unlabelled: dict[str, list[ExportRow]] = {}

    def add(self, row: ExportRow) -> None:
        """Take down a row."""
        self.rows += 1
        origin = row.lineage
        if origin.status == lineage.MERGED:
            self._add_merged(row)
        elif origin.row_id is not None:
            place = Place(row.number, origin.status or KEPT, reason=origin.rejected or origin.error)
            self._note(origin.row_id, place, row.content)
            for first in first_ids(origin):
                self.first_ids.setdefault(first, []).append(place)
        else:
            self._add_unlabelled(row)

    def _add_merged(self, row: ExportRow) -> None:
        self.merged_rows += 1
        origin = row.lineage
        if len(origin.parent_texts) != len(origin.parent_ids) or len(origin.parent_ids) < 2:
            self.broken.append(
                f"{row.where} names {len(origin.parent_ids)} parents and holds {len(origin.parent_texts)}."
            )
        for number, (content, parent) in enumerate(zip(row.parents, row.parent_lineages, strict=True), start=1):
            place = Place(row.number, lineage.MERGED, number)
            named = origin.parent_ids[number - 1] if number <= len(origin.parent_ids) else None
            if named != parent.row_id:
                self.broken.append(f"Parent {number} of {row.where} is not the row that its merge_parent_ids name.")
            if parent.row_id is not None:
                self._note(parent.row_id, place, content)
            for first in first_ids(parent):
                self.first_ids.setdefault(first, []).append(place)
        recorded = self._texts.get(origin.row_id or "")
        if recorded is None:
            self.unknown_merges.append(row.where)
        elif self._layout is None:
            self.unread_merges += 1
        elif sample_digest(self._layout.read(row.content).sample) != recorded:
            self.altered.append(f"The text of the merged {row.where} is not the one that was merged.")
        elif odd := [name for name in _odd_columns(row, self._layout) if name not in self._derived]:
            self.altered.append(f"The merged {row.where} has values of its own in {', '.join(odd)}.")

    def _add_unlabelled(self, row: ExportRow) -> None:
        """Tell a row without lineage by its content: one that was merged by its text, others by all columns."""
        merged = None
        if self._ids_by_text and self._layout is not None:
            ids = self._ids_by_text.get(sample_digest(self._layout.read(row.content).sample), [])
            # Of several merges of one text each is found once; the last again and again, should there be more rows.
            merged = ids.pop(0) if len(ids) > 1 else next(iter(ids), None)
        if merged is None:
            self.unlabelled.setdefault(content_digest(row.content), []).append(row)
            return
        self.merged_rows += 1
        for number, parent in enumerate(self._parents[merged], start=1):
            self.places.setdefault(parent, []).append(Place(row.number, lineage.MERGED, number))

    def settle_unlabelled(self, known: Collection[str], statuses: Mapping[str, str]) -> int:
        """Give rows without lineage the ids of known rows of the same content that were not found elsewhere.

        :param known: ids.
        :param statuses: what the record says of them; others are `original`.
        :return: how many rows were told by their content.
        """
        told = 0
        for row_id in known:
            rows = self.unlabelled.get(base_id(row_id) or "")
            if rows and row_id not in self.places:
                row = rows.pop(0)
                told += 1
                self.places[row_id] = [Place(row.number, statuses.get(row_id, lineage.ORIGINAL))]
        self.unlabelled = {digest: rows for digest, rows in self.unlabelled.items() if rows}
        return told

    def _note(self, row_id: str, place: Place, content: Mapping[str, Any]) -> None:
        self.places.setdefault(row_id, []).append(place)
        if content_digest(content) != base_id(row_id):
            self.suspects.append(Suspect(place, row_id, content))
        if row_id not in self._expected and self._layout is not None:
            self.strange[row_id] = text_key(self._layout, content)

    def reasons(self, status: str) -> Counter[str]:
        """Count the reasons of rows of a status."""
        return Counter(
            place.reason
            for places in self.places.values()
            for place in places
            if place.status == status and place.reason
        )


def base_id(row_id: str) -> str | None:
    """Return the digest in a row id, without the ordinal; None for an id that a dataset has brought."""
    found = _CONTENT_ID.fullmatch(row_id)
    return found[1] if found else None


def text_key(layout: SampleFormat, content: Mapping[str, Any]) -> str:
    """Return by what a row is told whose other texts have been cleaned: what it asks, ignoring case."""
    return layout.read(content).sample.query.lower()


def first_ids(origin: Lineage) -> Iterator[str]:
    """Yield the ids that a row, or the rows it was made of, had when they first entered a merger.

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


def _odd_columns(row: ExportRow, layout: SampleFormat) -> list[str]:
    """Return the columns beside the sample in which a merged row holds other than what its parents agree on."""
    return [
        name
        for name, value in row.content.items()
        if name not in layout.columns and not same_value(value, _agreed(row, name))
    ]


def _agreed(row: ExportRow, name: str) -> Any:
    values = [parent.get(name) for parent in row.parents]
    return values[0] if values and all(value == values[0] for value in values) else None
