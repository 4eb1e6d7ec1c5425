"""The fate of every row of the input: its place in the export, or why it is not there."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from mergeit_ops.core.rows.identity import base_id
from mergeit_ops.core.text.counts import agree
from mergeit_ops.runs.export_index import ExportIndex, Place, text_key
from mergeit_ops.runs.inputs import InputRows
from mergeit_ops.runs.recipe_steps import GATE, RecipeSteps, listed
from mergeit_ops.runs.run import FinishedRun
from mergeit_ops.runs.stages import CheckedStage

NEVER_ENTERED = "never entered"
NOT_SELECTED = "not selected"
FILTERED_OUT = "filtered out"
DROPPED = "dropped by the gate"
BETWEEN = "taken away before the gate"
LATER = "taken away later"
LOST = "lost"
NOT_FOUND = "not in the export"
UNTOLD = "not recognised"

_NOT_THE_DATASET = (
    "Nothing before our operators in the recipe changes rows, so INPUT is not the dataset of this run, or not as it "
    "was then."
)


@dataclass(frozen=True)
class RowOutcome:
    """The fate of a row of the input.

    :param row: its number in the input, from 1.
    :param row_id: its id.
    :param fate: `original`, `merged`, `restored` or `kept`, or why it is not in the export.
    :param export_row: number of the row in the export that is this row or contains it; None if there is none.
    :param parent: which of that row's parents it is; None for a separate row.
    :param reason: why its merge failed or was rejected.
    :param changed_before: whether an operator before ours had changed it, so that it was recognised by its question.
    """

    row: int
    row_id: str
    fate: str
    export_row: int | None = None
    parent: int | None = None
    reason: str | None = None
    changed_before: bool = False


@dataclass
class Trace:
    """The fates of the rows of an input.

    :param fates: fate of each row, in order.
    :param unmatched_rows: number of rows that entered and do not match a row of the input exactly.
    :param recognised: number of these rows that were recognised by their questions.
    :param widened_rows: number of rows that entered and differ from a row of the input only by more columns.
    :param added: the columns that such rows have and the input does not.
    """

    fates: list[RowOutcome] = field(default_factory=list)
    unmatched_rows: int = 0
    recognised: int = 0
    widened_rows: int = 0
    added: Sequence[str] = ()

    def sentences(self, entered: int, recipe: RecipeSteps) -> tuple[list[str], bool]:
        """Return sentences about rows that match none exactly, and whether they leave open which dataset the run had.

        :param entered: number of rows that entered.
        :param recipe: the operators of the recipe.
        """
        changers = recipe.before_ours().changers
        found = []
        if self.widened_rows:
            why = (
                f"The values there cannot be proved: {listed(changers)} before our operators may have added them."
                if changers
                else _NOT_THE_DATASET
            )
            found.append(
                f"{self.widened_rows:,} of the {entered:,} rows that entered "
                f"{agree(self.widened_rows, 'is a row', 'are rows')} of INPUT with more columns: "
                f"{', '.join(map(repr, self.added))}. {why}"
            )
        if self.unmatched_rows:
            found.append(self._unmatched_sentence(entered, changers))
        return found, bool(found) and not changers

    def _unmatched_sentence(self, entered: int, changers: Sequence[str]) -> str:
        told = (
            f"; {self.recognised:,} of them {agree(self.recognised, 'was', 'were')} recognised by the question"
            if self.recognised
            else ""
        )
        match = agree(self.unmatched_rows, "matches", "match")
        said = f"{self.unmatched_rows:,} of the {entered:,} rows that entered {match} no row of INPUT exactly{told}."
        if changers:
            said += (
                f" {listed(changers)} before our operators may have changed them. That the export holds them as they "
                "entered is proved; that they come from INPUT is not."
            )
        else:
            said += f" {_NOT_THE_DATASET}"
        return said


class _Tracer:
    def __init__(
        self,
        run: FinishedRun,
        inputs: InputRows,
        stages: Sequence[CheckedStage],
        export: ExportIndex,
        missing: Mapping[str, str],
        origins: Callable[[str], Sequence[str]],
    ) -> None:
        self._run = run
        self._inputs = inputs
        self._first = stages[0]
        self._several = len(stages) > 1
        self._missing = missing
        self._export = export
        found = export.first_ids if self._several else export.places
        self._places = {row_id: list(places) for row_id, places in found.items()}
        self._entered = None if self._first.entered is None else frozenset(self._first.entered)
        # Rows that were rewritten before they entered, by their ids in the input.
        self._renamed = self._rewritten(origins)
        self._taken = frozenset(self._renamed.values())

    def trace(self) -> Trace:
        unmatched_rows = self._unmatched_rows()
        widened = self._widened(unmatched_rows)
        known = set(widened.values())
        unmatched_rows = [row_id for row_id in unmatched_rows if row_id not in known]
        recognised = self._recognised(unmatched_rows, widened)
        fates = [
            self._fate(number, row_id, recognised.get(row_id), widened.get(row_id))
            for number, row_id in enumerate(self._inputs.ids, start=1)
        ]
        return Trace(fates, len(unmatched_rows), len(recognised), len(widened), list(self._export.added))

    def _fate(self, number: int, row_id: str, recognised: str | None, widened: str | None) -> RowOutcome:
        known = recognised or widened or self._known_as(row_id)
        changed = recognised is not None
        place = self._place(known)
        if place is not None:
            return RowOutcome(number, row_id, place.status, place.row, place.parent, place.reason, changed)
        return RowOutcome(number, row_id, self._why_missing(known), changed_before=changed)

    def _place(self, row_id: str) -> Place | None:
        places = self._places.get(row_id)
        if places:
            return places[0]
        # After a merge, a copy may have another ordinal.
        copies = self._places.get(base_id(row_id) or "", []) if self._several else []
        return copies.pop() if len(copies) > 1 else None

    def _why_missing(self, row_id: str) -> str:
        if self._entered is not None and row_id in self._entered:
            return self._missing.get(row_id, LATER if self._several else LOST)
        if not self._first.kind:
            # Changed rows cannot be distinguished from dropped ones.
            return UNTOLD if self._export.unlabelled else FILTERED_OUT
        if not self._first.merges_rows:
            return NOT_SELECTED
        return NOT_FOUND if self._entered is None else NEVER_ENTERED

    def _known_as(self, row_id: str) -> str:
        """Return the id of a row in the run: its id in an earlier run, if this run continued that one."""
        if row_id in self._renamed:
            return self._renamed[row_id]
        if self._entered is None or (row_id in self._entered and row_id not in self._taken):
            return row_id
        earlier = self._inputs.earlier_ids.get(row_id, row_id)
        # A merged row of an earlier run is where its parents are.
        return next(iter(self._first.units([earlier])), row_id) if self._first.kind == GATE else earlier

    def _unmatched_rows(self) -> list[str]:
        """Return the ids of rows that entered and are not in the input."""
        earlier = set(self._first.units(list(self._inputs.earlier_ids.values())))
        known = earlier | self._taken
        return [row_id for row_id in self._first.entered or () if row_id not in self._inputs and row_id not in known]

    def _rewritten(self, origins: Callable[[str], Sequence[str]]) -> dict[str, str]:
        """Find the rows that were rewritten before they entered. Returns a mapping from ids in the input to ids in the
        run.

        :param origins: function that returns what may identify a row before it was rewritten.
        """
        names: dict[str, deque[str]] = {}
        for row_id in self._first.entered or ():
            digest = base_id(row_id)
            if digest is not None and digest not in names:
                names[digest] = deque(origins(digest))
        names = {digest: found for digest, found in names.items() if list(found) != [digest]}
        if not names:
            return {}
        by_name: dict[str, deque[str]] = {}
        for row_id in self._inputs.ids:
            for name in self._inputs.names_of(row_id):
                by_name.setdefault(name, deque()).append(row_id)
        renamed: dict[str, str] = {}
        for row_id in self._first.entered or ():
            # Several rows may have become the same; each is found once.
            found = names.get(base_id(row_id) or "", deque())
            while found:
                candidates = by_name.get(found[0], deque())
                while candidates and candidates[0] in renamed:
                    candidates.popleft()
                if candidates:
                    renamed[candidates.popleft()] = row_id
                    break
                found.popleft()
        return renamed

    def _widened(self, unmatched_rows: Sequence[str]) -> dict[str, str]:
        """Find rows that had more columns when they entered than in the input, and were the same otherwise. Returns a
        mapping from ids in the input to ids in the run."""
        if self._several or self._entered is None:
            return {}
        same: dict[str, list[str]] = {}
        for row_id in reversed(self._inputs.ids):
            if row_id not in self._entered:
                same.setdefault(base_id(row_id) or row_id, []).append(row_id)
        found: dict[str, str] = {}
        for row_id in unmatched_rows:
            if candidates := same.get(self._export.narrowed.get(row_id, "")):
                found[candidates.pop()] = row_id
        return found

    def _recognised(self, unmatched_rows: Collection[str], found: Collection[str]) -> dict[str, str]:
        """Find rows that had been changed before they entered, by their questions. Returns a mapping from ids in the
        input to ids in the run.

        :param unmatched_rows: ids of rows that entered.
        :param found: ids in the input of rows that are found already.
        """
        known = self._export.unmatched
        asked = {row_id: known[row_id] for row_id in unmatched_rows if row_id in known}
        layout = self._run.layout_or_none(self._inputs.columns)
        if not asked or layout is None or self._several or self._entered is None:
            return {}
        asked_in_input = {
            row_id: text_key(layout, content)
            for row_id, content in zip(self._inputs.ids, self._inputs.contents(), strict=True)
            if row_id not in self._entered and row_id not in found
        }
        in_run, in_input = _by_text(asked), _by_text(asked_in_input)
        return {in_input[text]: row_id for text, row_id in in_run.items() if text in in_input}


def trace(
    run: FinishedRun,
    inputs: InputRows,
    stages: Sequence[CheckedStage],
    export: ExportIndex,
    missing: Mapping[str, str],
    origins: Callable[[str], Sequence[str]] = lambda digest: [digest],
) -> Trace:
    """Trace every row of the input.

    :param run: the run.
    :param inputs: its input.
    :param stages: its mergers.
    :param export: the content of its export.
    :param missing: maps the ids of rows that entered the last merger and are not in the export to the reasons.
    :param origins: function that returns what may identify a row before it was rewritten; see `Rewrites.origins`.
    """
    return _Tracer(run, inputs, stages, export, missing, origins).trace()


def _by_text(texts: Mapping[str, str]) -> dict[str, str]:
    """Return a mapping from texts to ids, for texts that only one row has."""
    times = Counter(texts.values())
    return {text: row_id for row_id, text in texts.items() if times[text] == 1}
