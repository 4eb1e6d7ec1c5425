"""The conservation law, checked on a finished run by row ids.

Every row that entered the merger is in the export exactly once: as a row of its own, or among the parents of one merged
row. The record of the run says which rows entered; the export says where they are; the input says what they were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from mergeit_ops.core import lineage
from mergeit_ops.core.formats import Problem
from mergeit_ops.finished.blame import GATE, GROUPER, MERGER, SELECTOR, Recipe, listed
from mergeit_ops.finished.comparing import differing_columns, is_plain
from mergeit_ops.finished.holdings import KEPT, Holdings, Place, Suspect, base_id
from mergeit_ops.finished.inputs import InputRows
from mergeit_ops.finished.run import FinishedRun
from mergeit_ops.finished.stages import stages_of
from mergeit_ops.finished.tracing import DROPPED, LATER, LOST, UNTOLD, RowFate, layout_or_none, trace

_SHOWN = 5
_NOT_TO_BE_MERGED = get_args(Problem)


@dataclass
class Verification:
    """What is proved of a finished run.

    :param counts: what is counted, in the order in which to show it.
    :param fates: of each row of the input, in order.
    :param violations: what breaks the law; empty where it holds.
    :param undecided: why it cannot be decided; empty where it can.
    :param remarks: what cannot be proved beyond the law, and why.
    """

    counts: dict[str, int] = field(default_factory=dict)
    fates: list[RowFate] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool | None:
        """Tell whether the law holds; None where that cannot be decided."""
        if self.violations:
            return False
        return None if self.undecided else True


def verify(run: FinishedRun, inputs: InputRows) -> Verification:
    """Check a finished run against the dataset that it was given.

    :param run: the run.
    :param inputs: rows of its dataset.
    :raises DatasetError: if a row cannot be read, or rows are topics.
    """
    return _Check(run, inputs).result()


class _Check:
    def __init__(self, run: FinishedRun, inputs: InputRows) -> None:
        self._run = run
        self._inputs = inputs
        self._recipe = Recipe(run.records.process)
        self._stages = stages_of(run)
        self._stage = self._stages[-1]
        self._found = Verification()
        self._layout = layout_or_none(run, run.columns)
        self._export = Holdings(
            {row_id: merge["text"] for row_id, merge in self._stage.merges.items()},
            {row_id: merge["parents"] for row_id, merge in self._stage.merges.items()},
            self._layout,
            frozenset(inputs.ids),
            run.derived_columns,
        )

    def result(self) -> Verification:
        if self._run.records.stopped:
            self._found.undecided.append(
                "The record is of a run that stopped with an error and exported nothing: the export is of another run "
                "(--work-dir says where its record is)."
            )
        for row in self._run.rows():
            self._export.add(row)
        entered = self._stage.entered
        if self._export.unlabelled:
            self._settle_unlabelled(entered)
        self._check_content()
        self._check_merges()
        fates = self._check_law(entered) if entered is not None else self._check_without_record()
        self._check_earlier_stages()
        self._trace_input(fates)
        self._count(fates)
        return self._found

    # What the rows hold.

    def _settle_unlabelled(self, entered: Sequence[str] | None) -> None:
        known = self._inputs.ids if entered is None else entered
        kept = not self._stage.merges_rows
        statuses = dict.fromkeys(known, KEPT) if kept else dict.fromkeys(self._stage.given_back(), lineage.RESTORED)
        told = self._export.settle_unlabelled(known, statuses)
        left = [row for rows in self._export.unlabelled.values() for row in rows]
        if told and self._stage.merges_rows:
            self._found.remarks.append(
                f"{told:,} rows of the export have no lineage; they were told by their content and by the record."
            )
        if not left:
            return
        what = f"{len(left):,} rows of the export are no rows of {'INPUT' if entered is None else 'this run'}"
        where = f"the first is {left[0].where}"
        changers = (*self._recipe.before_ours().changers, *self._recipe.behind(self._stage.name).changers)
        odd = any(not is_plain(row.content) for row in left)
        if self._run.has_lineage or not (changers or odd):
            self._found.violations.append(f"{what} and have no lineage; {where}.")
            return
        why = (
            f"{listed(changers)} may have changed them."
            if changers
            else "JSON rounds numbers and writes times as text."
        )
        self._untold = len(left)
        # Of a selection from rows that the recipe has changed, their number is all that there is to prove.
        changed_selection = changers and not self._stage.merges_rows
        sentences = self._found.remarks if changed_selection else self._found.undecided
        sentences.append(f"{what} to the letter, and have no lineage; {where}. {why}")

    def _check_content(self) -> None:
        changed: list[str] = []
        later = 0
        unproved = 0
        changers = self._recipe.behind(self._stage.name).changers
        for suspect in self._export.suspects:
            columns = self._changed_columns(suspect)
            if columns is None:
                unproved += 1
            elif columns and suspect.place.parent is None and changers:
                later += 1
            elif columns:
                changed.append(_changed_sentence(suspect, columns))
        self._changed = len(changed) + len(self._export.altered)
        if changers and self._export.altered:
            later += len(self._export.altered)
            self._changed -= len(self._export.altered)
        else:
            changed += self._export.altered
        self._found.violations += _first(changed, "rows are not what they were")
        if later:
            self._found.remarks.append(
                f"{later:,} rows of the export are not what they were behind {self._stage.name}: "
                f"{listed(changers)} may have changed them, and so may anybody who had the file."
            )
        if unproved:
            self._found.remarks.append(
                f"Of {unproved:,} rows it cannot be proved that they are what they were: the form of the export rounds "
                "numbers or writes times as text, and INPUT has no row to compare them with."
            )

    def _changed_columns(self, suspect: Suspect) -> list[str] | None:
        """Return in which columns a row has changed; empty: in none; None: that cannot be told."""
        in_input = suspect.row_id in self._inputs
        if in_input:
            columns = differing_columns(suspect.content, self._inputs.content(suspect.row_id))
            told_exactly = base_id(suspect.row_id) is not None and is_plain(suspect.content)
            return columns or (["a column that is not in INPUT"] if told_exactly else [])
        if base_id(suspect.row_id) is None or not is_plain(suspect.content):
            return None
        return ["its content"]

    def _check_merges(self) -> None:
        self._found.violations += _first(self._export.broken, "merged rows are not whole")
        unknown = self._export.unknown_merges
        if unknown and self._stage.merges:
            self._found.violations += _first(
                [f"The merged {where} is not on record." for where in unknown],
                "merged rows are of no merger of this run",
            )
        elif unknown or self._export.unread_merges:
            self._found.remarks.append(
                f"That the texts of {len(unknown) + self._export.unread_merges:,} merged rows are as they were merged "
                "cannot be proved: no record tells."
            )

    # Where the rows are.

    def _check_law(self, entered: Sequence[str]) -> dict[str, str]:
        """Find every row that entered; return what became of those that are not in the export."""
        places = self._export.places
        among = set(entered)
        verb = self._stage.verb
        if len(among) < len(entered):
            self._found.violations.append(f"The record names {len(entered) - len(among):,} row ids more than once.")
        doubled = [row_id for row_id in among if len(places.get(row_id, ())) > 1]
        self._doubled = len(doubled)
        self._found.violations += _first(
            [_doubled_sentence(row_id, places[row_id]) for row_id in doubled], "rows are in the export more than once"
        )
        foreign = [row_id for row_id in places if row_id not in among]
        self._found.violations += _first(
            [f"{_where(places[row_id][0])} ({row_id}) never {verb}." for row_id in foreign], "rows are of another run"
        )
        missing = [row_id for row_id in entered if row_id not in places]
        fates = self._fates_of_missing(missing)
        lost = [row_id for row_id in missing if fates[row_id] == LOST]
        self._found.violations += _first(
            [f"The row {self._named(row_id)} {verb} and is not in the export." for row_id in lost], "rows are lost"
        )
        later = sum(fate == LATER for fate in fates.values())
        if later:
            self._found.remarks.append(
                f"{later:,} rows that {verb} are not in the export. {listed(self._takers)} may have taken them away, "
                "as the recipe asks; no record names them, so it cannot be proved that nobody else has."
            )
        return fates

    def _fates_of_missing(self, missing: Sequence[str]) -> dict[str, str]:
        stage = self._stage
        if not missing:
            return {}
        behind = self._recipe.behind(stage.name)
        lost = UNTOLD if self._untold else LOST
        if not stage.gates:
            self._takers = behind.takers
            return dict.fromkeys(missing, LATER if behind.takers else lost)
        dropped = set(stage.units(stage.of_gates("dropped")))
        left = set(stage.units(stage.gates[-1]["left"]))
        came = set(stage.units(stage.gates[0]["entered"]))
        between, after = self._recipe.behind(stage.name, until=GATE), self._recipe.behind(GATE)
        self._takers = (*between.takers, *after.takers)

        def fate(row_id: str) -> str:
            if row_id in dropped:
                return DROPPED
            if row_id in left:
                return LATER if after.takers else lost
            if row_id in came:
                return LOST
            return LATER if between.takers else lost

        return {row_id: fate(row_id) for row_id in missing}

    def _check_without_record(self) -> dict[str, str]:
        places = self._export.places
        doubled = [row_id for row_id, found in places.items() if len(found) > 1]
        self._doubled = len(doubled)
        self._found.violations += _first(
            [_doubled_sentence(row_id, places[row_id]) for row_id in doubled], "rows are in the export more than once"
        )
        selections = self._run.of_operator(SELECTOR)
        if not selections or self._run.of_operator(MERGER) or self._stage.name == MERGER:
            self._found.undecided.append(
                "Which rows entered the merger stands in the record of the run, and there is none (--work-dir says "
                "where it is). Without it nobody can tell a row that was lost from one that was never selected."
            )
            return {}
        expected, behind = selections[-1]["figures"]["rows_out"], self._recipe.behind(SELECTOR)
        self._found.remarks.append(
            "Which rows were selected is not on record: it is counted how many there are, and not looked whether they "
            "are the ones."
        )
        if self._export.rows > expected or (self._export.rows < expected and not behind.takers):
            self._found.violations.append(
                f"The selector kept {expected:,} rows, and the export has {self._export.rows:,}."
            )
        elif self._export.rows < expected:
            self._found.remarks.append(
                f"The selector kept {expected:,} rows, and the export has {self._export.rows:,}; "
                f"{listed(behind.takers)} may have taken the others away."
            )
        return {}

    def _check_earlier_stages(self) -> None:
        """Check the mergers before the last one, whose rows are not in the export, from the records alone."""
        for number, stage in enumerate(self._stages[:-1], start=1):
            if stage.entered is None or not stage.gates:
                self._found.remarks.append(f"Of merger {number} of {len(self._stages)} no gate has a record to prove.")
                continue
            left = Counter(stage.units(stage.gates[-1]["left"])) + Counter(stage.units(stage.of_gates("dropped")))
            missing = [row_id for row_id in stage.entered if not left[row_id]]
            twice = [row_id for row_id, times in left.items() if times > 1]
            takers = self._recipe.behind(MERGER, until=GATE).takers
            if twice or (missing and not takers):
                self._found.violations.append(
                    f"Of merger {number} of {len(self._stages)}, {len(missing):,} rows did not leave the gate and "
                    f"{len(twice):,} left it more than once, as the records say."
                )

    def _trace_input(self, missing: Mapping[str, str]) -> None:
        traced = trace(self._run, self._inputs, self._stages, self._export, missing)
        self._found.fates = traced.fates
        if traced.strangers:
            sentence, open_question = traced.sentence(len(self._stages[0].entered or ()), self._recipe)
            (self._found.undecided if open_question else self._found.remarks).append(sentence)

    def _named(self, row_id: str) -> str:
        number = self._inputs.number_of(row_id)
        return row_id if number is None else f"{row_id} (row {number} of INPUT)"

    # What there is to count.

    def _count(self, missing: Mapping[str, str]) -> None:
        counts = self._found.counts
        by_status = Counter(place.status for places in self._export.places.values() for place in places)
        entered = self._stage.entered
        counts["rows of INPUT"] = len(self._inputs)
        first = self._stages[0].entered
        if self._stage.merges_rows and first is not None:
            if self._stage.name == MERGER:
                counts.update(self._not_entered(len(first)))
            counts[self._stage.verb] = len(first)
            if len(self._stages) > 1:
                counts["entered the last merger"] = len(entered or ())
        if by_status[KEPT]:
            counts["kept"] = by_status[KEPT]
        if self._stage.merges_rows:
            counts["original"] = by_status[lineage.ORIGINAL]
            for reason, number in sorted(self._export.reasons(lineage.ORIGINAL).items()):
                what = "not to be merged" if reason in _NOT_TO_BE_MERGED else "with a failed merge"
                counts[f"  of them {what}: {reason}"] = number
            counts[f"merged, as parents of {self._export.merged_rows:,} rows"] = by_status[lineage.MERGED]
            counts["restored"] = by_status[lineage.RESTORED]
            for reason, number in sorted(self._export.reasons(lineage.RESTORED).items()):
                counts[f"  of them for: {reason}"] = number
        fates = Counter(missing.values())
        for fate in (DROPPED, LATER, UNTOLD):
            if fates[fate]:
                counts[fate] = fates[fate]
        counts["lost"] = fates[LOST]
        counts["doubled"] = self._doubled
        counts["changed"] = self._changed
        counts["rows of the export"] = self._export.rows

    def _not_entered(self, entered: int) -> dict[str, int]:
        """Return how many rows never entered the merger: taken away before our operators, and by selection."""
        never = len(self._inputs) - entered
        grouped = next((record["figures"].get("rows_in") for record in self._run.of_operator(GROUPER)), None)
        if grouped is None or never < 0:
            return {"never entered the merger": never}
        return {
            "never entered the merger": never,
            "  of them taken away before the grouper": len(self._inputs) - grouped,
            "  of them not selected": grouped - entered,
        }

    _changed = 0
    _doubled = 0
    _untold = 0
    _takers: tuple[str, ...] = ()


def _first(sentences: Sequence[str], what: str) -> Iterator[str]:
    """Yield the first few sentences, and how many there are."""
    yield from sentences[:_SHOWN]
    if len(sentences) > _SHOWN:
        yield f"... and so on: {len(sentences):,} {what}."


def _where(place: Place) -> str:
    return f"Row {place.row}" if place.parent is None else f"Parent {place.parent} of row {place.row}"


def _doubled_sentence(row_id: str, places: Sequence[Place]) -> str:
    where = " and ".join(_where(place) if not at else _where(place).lower() for at, place in enumerate(places))
    return f"{where} of the export are the same row {row_id}."


def _changed_sentence(suspect: Suspect, columns: Sequence[str]) -> str:
    return f"{_where(suspect.place)} of the export is not the row {suspect.row_id} any more: {listed(columns)} changed."
