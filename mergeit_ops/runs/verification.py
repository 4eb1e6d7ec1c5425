"""Check the conservation law on a finished run, by row ids.

Every row that entered the merger is in the export exactly once: as a separate row, or among the parents of one merged
row. The record of the run shows which rows entered, the export shows where they are, and the input shows what they
were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, get_args

from mergeit_ops.core.formats import Problem
from mergeit_ops.core.rows import lineage
from mergeit_ops.core.rows.identity import base_id, exact_digest
from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.runs.comparing import differing_columns, is_plain
from mergeit_ops.runs.export_index import KEPT, ExportIndex, Place, Suspect, without
from mergeit_ops.runs.inputs import InputRows
from mergeit_ops.runs.recipe_steps import GATE, GROUPER, MERGER, REWRITER, SELECTOR, kind_of, listed
from mergeit_ops.runs.records import Record
from mergeit_ops.runs.rewrites import Rewrites
from mergeit_ops.runs.run import FinishedRun
from mergeit_ops.runs.stages import CheckedStage, KnownMerge, stages_of
from mergeit_ops.runs.tracing import BETWEEN, DROPPED, FILTERED_OUT, LATER, LOST, UNTOLD, RowOutcome, trace

_SHOWN = 5
_NOT_TO_BE_MERGED = get_args(Problem)
_WRONG = ("lost", "doubled", "changed", "misplaced", "foreign")


@dataclass
class Verification:
    """The result of verifying a finished run.

    :param headline: the verdict in a sentence.
    :param counts: the counts, in the order of the output.
    :param fates: what happened to each row of the input, in order.
    :param violations: what breaks the conservation law; empty if it holds.
    :param undecided: why it cannot be decided; empty if it can.
    :param remarks: what else cannot be proved, and why.
    """

    headline: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    fates: list[RowOutcome] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool | None:
        """Return whether the law holds; None if it cannot be decided."""
        if self.violations:
            return False
        return None if self.undecided else True


def verify(run: FinishedRun, inputs: InputRows) -> Verification:
    """Check a finished run against its dataset.

    :param run: the run.
    :param inputs: rows of its dataset.
    :raises DatasetError: if a row cannot be read, or rows are topics.
    """
    return _Check(run, inputs).result()


class _Check:
    def __init__(self, run: FinishedRun, inputs: InputRows) -> None:
        self._run = run
        self._inputs = inputs
        self._recipe = run.records.steps
        self._stages = stages_of(run.records)
        self._stage = self._stages[-1]
        self._changers = self._recipe.behind(self._stage.kind).changers if self._stage.kind else self._recipe.changers
        changers = (*self._recipe.before_ours().changers, *self._changers)
        self._found = Verification()
        self._rewrites = Rewrites(run.records, self._stage.kind, run.layout_or_none())
        self._export = ExportIndex(
            self._stage,
            self._earlier_merges(),
            run.layout_or_none,
            frozenset(inputs.ids),
            linked=not self._recipe.between_all(MERGER).changers,
            columns=inputs.columns if changers and not self._stage.merges_rows else None,
            origins=lambda digest: self._rewrites.origins(digest, in_export=True),
            input_columns=inputs.columns,
        )

    def _earlier_merges(self) -> dict[str, KnownMerge] | None:
        earlier = self._stages[:-1]
        # The records of this run do not have the history of rows from an earlier run.
        if not earlier or not all(stage.tells_merges for stage in earlier) or self._inputs.earlier_ids:
            return None
        return {row_id: merge for stage in earlier for row_id, merge in stage.standing.items()}

    def result(self) -> Verification:
        self._check_records()
        for row in self._run.rows():
            # The law applies to rows before they were rewritten.
            self._export.add(self._rewrites.before(row), bare=not row.lineage.meta)
        entered = self._stage.entered
        first = self._export.first_unlabelled
        if first is not None and self._export.labelled:
            number = self._export.rows - self._export.labelled
            self._found.violations.append(
                f"{many(number, 'row')} of the export {agree(number, 'has', 'have')} no lineage, but other rows do; "
                f"the first is {first}."
            )
        if first is not None:
            self._settle_unlabelled(entered)
        self._check_content()
        self._check_rewrites()
        self._check_merges()
        fates = self._check_law(entered) if entered is not None else self._check_without_record()
        self._check_earlier_stages()
        self._check_number()
        self._trace_input(fates)
        self._count(fates)
        return self._found

    def _check_records(self) -> None:
        records = self._run.records
        if records.stopped:
            self._found.undecided.append(
                "The record is from a run that stopped with an error and exported nothing, so the export is from "
                "another run: use --work-dir to say where its record is."
            )
        elif records.missing:
            self._found.undecided.append(
                f"The record of {listed(records.steps.of_kinds(records.missing))} is missing or was never completed: "
                "the run was killed, or the record is damaged."
            )

    # The content of the rows.

    def _settle_unlabelled(self, entered: Sequence[str] | None) -> None:
        stage = self._stage
        # Copies that left as separate rows come first; others are inside a merge or were dropped.
        alone = [row_id for row_id, merge in stage.whereabouts.items() if merge is None]
        known = self._inputs.ids if entered is None else dict.fromkeys([*alone, *entered])
        kept = not stage.merges_rows
        statuses = dict.fromkeys(known, KEPT) if kept else dict.fromkeys(stage.given_back, lineage.RESTORED)
        told = self._export.settle_unlabelled(known, statuses, self._inputs.names_of)
        left = [row for rows in self._export.unlabelled.values() for row in rows]
        if (told or not self._export.labelled) and stage.merges_rows:
            number = self._export.rows - self._export.labelled - len(left)
            self._found.remarks.append(
                f"{many(number, 'row')} of the export {agree(number, 'has', 'have')} no lineage; "
                f"{agree(number, 'it was', 'they were')} identified by {agree(number, 'its', 'their')} content and the "
                "record."
            )
        if not left:
            return
        what = (
            f"{many(len(left), 'row')} of the export {agree(len(left), 'has', 'have')} no counterpart in "
            f"{'INPUT' if entered is None else 'this run'}"
        )
        where = f"the first is {left[0].where}"
        changers = (*self._recipe.before_ours().changers, *self._changers)
        odd = not self._input_is_plain or any(not is_plain(row.content) for row in left)
        if self._export.labelled or not (changers or odd):
            self._found.violations.append(f"{what}, and no lineage; {where}.")
            return
        why = (
            f"{listed(changers)} may have changed them."
            if changers
            else "JSON rounds numbers and writes times as text."
        )
        self._untold = len(left)
        # For a selection from rows that the recipe has changed, only their number can be proved.
        changed_selection = changers and not stage.merges_rows
        sentences = self._found.remarks if changed_selection else self._found.undecided
        sentences.append(f"{what} that is exactly the same, and no lineage; {where}. {why}")

    def _check_content(self) -> None:
        changed: list[str] = []
        later = 0
        unproved = 0
        widened: list[Sequence[str]] = []
        for suspect in self._export.suspects:
            columns = self._changed_columns(suspect)
            if columns is None:
                unproved += 1
            elif columns and suspect.place.parent is None and self._changers and (added := self._added(suspect)):
                widened.append(added)
            elif columns and suspect.place.parent is None and self._changers:
                later += 1
            elif columns:
                changed.append(_changed_sentence(suspect, columns))
        if self._changers:
            later += len(self._export.altered)
            widened += [columns for _, columns in self._export.widened]
        elif not self._stage.is_open:
            changed += [*self._export.altered, *(sentence for sentence, _ in self._export.widened)]
        self._changed, self._changed_later = len(changed), later
        self._found.violations += _first(changed, "rows are not what they were")
        if later:
            self._found.remarks.append(
                f"{many(later, 'row')} of the export "
                f"{agree(later, 'differs from what it was', 'differ from what they were')} after "
                f"{self._operator}: {listed(self._changers)} may have changed {agree(later, 'it', 'them')}, or "
                "somebody edited the file."
            )
        if widened:
            names = dict.fromkeys(name for added in widened for name in added)
            self._found.remarks.append(
                f"{many(len(widened), 'row')} of the export "
                f"{agree(len(widened), 'is as it was', 'are as they were')} after "
                f"{self._own_name}, but {agree(len(widened), 'has', 'have')} more columns: "
                f"{', '.join(map(repr, names))}. The values there cannot be proved: {listed(self._changers)} may have "
                "added them."
            )
        if unproved:
            self._found.remarks.append(
                f"{many(unproved, 'row')} cannot be proved to be unchanged: the form of the export rounds "
                "numbers or writes times as text, and INPUT has no row to compare them with."
            )

    def _check_rewrites(self) -> None:
        self._found.violations += _first(self._rewrites.broken, "rewritten rows have no parent that can be proved")
        altered = self._rewrites.altered
        later = self._recipe.behind(REWRITER).changers
        if altered and later:
            self._found.remarks.append(
                f"{many(len(altered), 'row')} {agree(len(altered), 'has', 'have')} changed after the rewriting: "
                f"{listed(later)} may have changed {agree(len(altered), 'it', 'them')}, or somebody edited the file."
            )
        else:
            self._found.violations += _first(altered, "rewritten rows are not what the record says")

    def _changed_columns(self, suspect: Suspect) -> list[str] | None:
        """Return the columns in which a row has changed; empty if none have; None if it is unknown."""
        row_id, content = suspect.row_id, suspect.content
        before = self._content_in_input(row_id)
        stage = next((stage for stage in self._stages if row_id in stage.contents), None)
        if stage is not None:
            digest = stage.contents[row_id]
            if before is not None and exact_digest(before, stage.inexact) != digest:
                before = None  # an operator before ours has changed it, but it kept the id that it brought
            if exact_digest(content, stage.inexact) != digest:
                return (differing_columns(content, before) if before is not None else []) or ["its content"]
        elif base_id(row_id) is None and self._recipe.before_ours().changers:
            return None
        if before is not None:
            columns = differing_columns(content, before)
            return columns or (["a column that is not in INPUT"] if content.keys() != before.keys() else [])
        if stage is not None:
            rounded = [name for name in content if name in stage.inexact and content[name] is not None]
            return None if rounded else []
        proved = base_id(row_id) is not None and is_plain(content) and self._input_is_plain
        return ["its content"] if proved else None

    def _added(self, suspect: Suspect) -> list[str]:
        """Return the columns that a row has besides those of INPUT, if it has not changed in any other way."""
        added = [name for name in suspect.content if name not in self._inputs.columns]
        narrow = replace(suspect, content=without(suspect.content, added))
        return [] if added and self._changed_columns(narrow) != [] else added

    @cached_property
    def _input_is_plain(self) -> bool:
        # A time that is a text in JSON is a plain value in the export.
        return all(map(is_plain, self._inputs.contents()))

    def _content_in_input(self, row_id: str) -> dict[str, Any] | None:
        # After a merge a copy may have another ordinal, but the same content.
        return next((self._inputs.content(at) for at in (row_id, base_id(row_id)) if at and at in self._inputs), None)

    def _check_merges(self) -> None:
        self._found.violations += _first(self._export.broken, "merged rows are not what the record says")
        unknown = self._export.unknown_merges
        if unknown and self._stage.tells_merges:
            self._found.violations += _first(
                [f"The merged {where} is not on record." for where in unknown],
                "merged rows are of no merger of this run",
            )
        elif unknown or self._export.unread_merges:
            number = len(unknown) + self._export.unread_merges
            self._found.remarks.append(
                f"No record has the texts of {many(number, 'merged row')}, so it cannot be proved that nobody changed "
                f"{agree(number, 'it', 'them')}."
            )

    # The places of the rows.

    def _check_law(self, entered: Sequence[str]) -> dict[str, str]:
        """Find every row that entered; return the fates of those that are not in the export."""
        places = self._export.places
        among = set(entered)
        verb = self._stage.verb
        if len(among) < len(entered):
            repeated = len(entered) - len(among)
            self._found.violations.append(f"The record names {many(repeated, 'row id')} more than once.")
        doubled = [row_id for row_id in among if len(places.get(row_id, ())) > 1]
        self._doubled = len(doubled)
        self._found.violations += _first(
            [_doubled_sentence(row_id, places[row_id]) for row_id in doubled], "rows are in the export more than once"
        )
        foreign = [row_id for row_id in places if row_id not in among]
        self._foreign = len(foreign)
        self._found.violations += _first(
            [f"{_where(places[row_id][0])} ({row_id}) never {verb}." for row_id in foreign], "rows are of another run"
        )
        misplaced = [
            sentence
            for row_id in entered
            for place in places.get(row_id, ())[:1]
            if (sentence := self._misplaced_sentence(row_id, place))
        ]
        self._misplaced = len(misplaced)
        self._found.violations += _first(misplaced, "rows are not at the place that the record gives")
        missing = [row_id for row_id in entered if row_id not in places]
        fates = self._fates_of_missing(missing)
        lost = [row_id for row_id in missing if fates[row_id] == LOST]
        self._found.violations += _first(
            [f"The row {self._named(row_id)} {verb} and is not in the export." for row_id in lost], "rows are lost"
        )
        later = sum(fate in (BETWEEN, LATER) and row_id not in self._noted for row_id, fate in fates.items())
        if later:
            them = agree(later, "it", "them")
            self._found.remarks.append(
                f"{many(later, 'row')} that {self._stage.verb_of(later)} {agree(later, 'is', 'are')} not in the "
                f"export. {listed(self._takers)} may have removed {them}, as the recipe asks. No record names "
                f"{them}, so it cannot be proved that nothing else removed {them}."
            )
        return fates

    def _misplaced_sentence(self, row_id: str, place: Place) -> str | None:
        """Return what is wrong with the place of a row according to the record; None if it is correct."""
        stage, what = self._stage, f"{_where(place)} of the export ({row_id})"
        if row_id in self._noted:
            return f"{what} was dropped by {self._noted[row_id]}, according to its record."
        if stage.left is None:
            return None
        if row_id not in stage.whereabouts:
            if row_id in self._dropped:
                return f"{what} was dropped by the gate's min_score or max_score, according to the gate's record."
            return f"{what} never left the gate, according to the gate's record."
        merge = stage.whereabouts[row_id]
        if place.merge != merge:
            return f"{what} {_belongs(merge)}, according to the record."
        if merge is not None or not stage.merges_rows:
            return None
        restored = row_id in stage.given_back
        # Rows of an earlier run may have been restored in that run.
        allowed = {lineage.RESTORED} if restored else {lineage.ORIGINAL}
        if stage.kind == GATE and not restored:
            allowed.add(lineage.RESTORED)
        if place.status not in allowed:
            return f"{what} has the merge_status '{place.status}'; in the record it is '{min(allowed)}'."
        return None

    @cached_property
    def _dropped(self) -> frozenset[str]:
        return frozenset(self._stage.units(self._stage.of_gates("dropped")))

    @cached_property
    def _noted(self) -> dict[str, str]:
        """Return the rows of this stage that operators other than gates have dropped according to their records, each
        with the operator."""
        return self._noted_in(self._stage)

    def _noted_in(self, stage: CheckedStage) -> dict[str, str]:
        return {unit: name for row_id, name in self._run.records.drops.items() for unit in stage.units([row_id])}

    def _fates_of_missing(self, missing: Sequence[str]) -> dict[str, str]:
        stage = self._stage
        if not missing:
            return {}
        if stage.is_open:
            return dict.fromkeys(missing, UNTOLD)
        behind = self._recipe.behind(stage.kind)
        lost = UNTOLD if self._untold else LOST
        noted = tuple(dict.fromkeys(self._noted[row_id] for row_id in missing if row_id in self._noted))
        if not stage.gates:
            self._takers, self._takers_after = behind.takers, (*behind.takers, *noted)
            return {row_id: LATER if behind.takers or row_id in self._noted else lost for row_id in missing}
        came = set(stage.units(stage.gates[-1]["entered"]))
        between, after = self._recipe.behind(stage.kind, until=GATE), self._recipe.behind(GATE)
        self._takers = (*between.takers, *after.takers)
        self._takers_after = (*after.takers, *(name for name in noted if name in after.names))

        def fate(row_id: str) -> str:
            if row_id in self._dropped:
                return DROPPED
            if row_id in self._noted:
                return LATER if row_id in stage.whereabouts else BETWEEN
            if row_id in stage.whereabouts:
                return LATER if after.takers else lost
            if row_id in came:
                return LOST
            return BETWEEN if between.takers else lost

        return {row_id: fate(row_id) for row_id in missing}

    def _check_without_record(self) -> dict[str, str]:
        places = self._export.places
        doubled = [row_id for row_id, found in places.items() if len(found) > 1]
        self._doubled = len(doubled)
        self._found.violations += _first(
            [_doubled_sentence(row_id, places[row_id]) for row_id in doubled], "rows are in the export more than once"
        )
        if not self._stage.kind:
            self._check_filtered()
            return {}
        selections = self._run.of_kind(SELECTOR)
        if not selections or self._run.of_kind(MERGER) or self._stage.kind == MERGER:
            self._found.undecided.append(
                "No record says which rows entered the merger, so a row that was lost cannot be told from one that was "
                "never selected. If there is a record, name its folder with --work-dir."
            )
            return {}
        behind = self._recipe.behind(SELECTOR)
        expected = selections[-1]["figures"]["rows_out"] - self._dropped_behind(selections[-1])
        self._found.remarks.append("The record does not name the selected rows: only their number was checked.")
        if self._export.rows > expected or (self._export.rows < expected and not behind.takers):
            self._found.violations.append(
                f"The selector kept {many(expected, 'row')}, and the export has {self._export.rows:,}."
            )
        elif self._export.rows < expected:
            self._found.remarks.append(
                f"The selector kept {many(expected, 'row')}, and the export has {self._export.rows:,}; "
                f"{listed(behind.takers)} may have taken the others away."
            )
        return {}

    def _check_filtered(self) -> None:
        """Compare the number of missing rows with the number that our filters, and the loader, dropped, if there is no
        other operator.

        Each row of the export has already been looked up in INPUT.
        """
        records = self._run.records
        others = [name for name in self._recipe.process if name not in self._recipe.roles]
        unloaded = sum(record["figures"].get("dropped_by_loader") or 0 for record in records.operators)
        dropped = sum(map(_dropped_on_record, records.operators))
        missing = len(self._inputs) - self._export.rows
        if others:
            self._found.remarks.append(
                f"{many(missing, 'row')} {agree(missing, 'is', 'are')} not in the export, and our operators dropped "
                f"{dropped:,} on record. {listed(others)} may have removed others; no record names them."
            )
        elif missing != dropped + unloaded:
            loader = f", and Data-Juicer's loader {unloaded:,}" if unloaded else ""
            self._found.violations.append(
                f"{many(missing, 'row')} of INPUT {agree(missing, 'is', 'are')} not in the export, but the filters "
                f"dropped {dropped:,} on record{loader}."
            )
        if unloaded:
            self._found.remarks.append(
                f"Data-Juicer's loader dropped {many(unloaded, 'row')} without a value in the columns of text_keys. "
                "The record has only their number."
            )

    def _dropped_behind(self, selection: Mapping[str, Any]) -> int:
        """Return the number of rows that operators after a selection have dropped according to their records."""
        records = self._run.records.operators
        behind = records[records.index(selection) + 1 :]
        return sum(record["figures"].get("filtered_out") or 0 for record in behind if "dropped" in record)

    def _check_number(self) -> None:
        """Compare the number of rows with that of the recipe's last operator, if it is one of ours."""
        records, process = self._run.records.operators, self._run.records.process
        if not records or not process or process[-1] != records[-1]["operator"] or kind_of(records[-1]) == SELECTOR:
            return
        left = records[-1].get("figures", {}).get("rows_out")
        if left is not None and left != self._export.rows:
            self._found.violations.append(
                f"The last operator, {process[-1]}, passed on {many(left, 'row')}, but the export has "
                f"{self._export.rows:,}."
            )

    def _check_earlier_stages(self) -> None:
        """Check the mergers before the last one by their records and the history in the rows."""
        for number, stage in enumerate(self._stages[:-1], start=1):
            if stage.entered is None or not stage.gates:
                self._found.remarks.append(
                    f"Merger {number} of {len(self._stages)} cannot be checked: no gate has a record."
                )
                continue
            left = Counter(stage.units(stage.gates[-1]["left"])) + Counter(stage.units(stage.of_gates("dropped")))
            noted = self._noted_in(stage)
            missing = [row_id for row_id in stage.entered if not left[row_id] and row_id not in noted]
            twice = [row_id for row_id, times in left.items() if times > 1]
            takers = self._recipe.behind(MERGER, until=GATE).takers
            if twice or (missing and not takers):
                self._found.violations.append(
                    f"Of merger {number} of {len(self._stages)}, {many(len(missing), 'row')} did not leave the gate "
                    f"and {len(twice):,} left it more than once, as the records say."
                )
        first = self._stages[0].entered
        if (
            len(self._stages) < 2
            or first is None
            or self._inputs.earlier_ids
            or self._recipe.between_all(MERGER).changers
        ):
            return
        # By content, because after a merge a copy may have another ordinal.
        entered = Counter(base_id(row_id) or row_id for row_id in first)
        found = Counter(base_id(row_id) or row_id for row_id, places in self._export.first_ids.items() for _ in places)
        self._found.violations += _first(
            [
                f"Row {self._export.first_ids[row_id][-1].row} of the export holds the row {row_id}, which did not "
                "enter the first merger, or is held more than once."
                for row_id in self._export.first_ids
                if found[key := base_id(row_id) or row_id] > entered[key]
            ],
            "rows of the first merger are not held exactly once",
        )

    def _trace_input(self, missing: Mapping[str, str]) -> None:
        traced = trace(self._run, self._inputs, self._stages, self._export, missing, self._rewrites.origins)
        self._found.fates = traced.fates
        sentences, open_question = traced.sentences(len(self._stages[0].entered or ()), self._recipe)
        (self._found.undecided if open_question else self._found.remarks).extend(sentences)

    def _named(self, row_id: str) -> str:
        number = self._inputs.number_of(row_id)
        return row_id if number is None else f"{row_id} (row {number} of INPUT)"

    # The counts.

    def _count(self, missing: Mapping[str, str]) -> None:
        counts = self._found.counts
        by_status = Counter(place.status for places in self._export.places.values() for place in places)
        entered = self._stage.entered
        counts["rows of INPUT"] = len(self._inputs)
        first = self._stages[0].entered
        if self._stage.merges_rows and first is not None:
            if self._stage.kind == MERGER:
                counts.update(self._not_entered(len(first)))
            counts[self._stage.verb] = len(first)
            if len(self._stages) > 1:
                counts["entered the last merger"] = len(entered or ())
        if by_status[KEPT]:
            counts["kept"] = by_status[KEPT]
        if self._rewrites.undone:
            counts["rewritten, with what they were"] = self._rewrites.undone
        if self._stage.merges_rows:
            counts["original"] = by_status[lineage.ORIGINAL]
            for reason, number in sorted(self._export.reasons(lineage.ORIGINAL).items()):
                what = "not to be merged" if reason in _NOT_TO_BE_MERGED else "with a failed merge"
                counts[f"  of them {what}: {reason}"] = number
            counts[f"merged, as parents of {many(self._export.merged_rows, 'row')}"] = by_status[lineage.MERGED]
            counts["restored"] = by_status[lineage.RESTORED]
            for reason, number in sorted(self._export.reasons(lineage.RESTORED).items()):
                counts[f"  of them for: {reason}"] = number
        fates = Counter(missing.values())
        removed = fates[DROPPED] + fates[LATER]
        if fates[BETWEEN]:
            counts[BETWEEN] = fates[BETWEEN]
        if removed and self._stage.gates:
            counts["removed after the gate"] = removed
        indent = "  " if self._stage.gates else ""
        for fate, what in ((DROPPED, f"{DROPPED} (min_score, max_score)"), (LATER, LATER)):
            if fates[fate]:
                counts[indent + what] = fates[fate]
        if not self._stage.kind:
            counts[FILTERED_OUT] = sum(outcome.fate == FILTERED_OUT for outcome in self._found.fates)
        if fates[UNTOLD]:
            counts[UNTOLD] = fates[UNTOLD]
        counts["lost"] = fates[LOST]
        counts["doubled"] = self._doubled
        counts["changed"] = self._changed
        counts["misplaced"] = self._misplaced
        counts["foreign"] = self._foreign
        counts["rows of the export"] = self._export.rows
        self._found.headline = self._headline(missing, fates)

    def _headline(self, missing: Mapping[str, str], fates: Mapping[str, int]) -> str:
        """Return one or two sentences about what is proved, with the numbers of the table."""
        found, entered = self._found, self._stage.entered
        if found.holds is None:
            return "It cannot be decided whether the conservation law holds:"
        if not found.holds:
            wrong = [f"{found.counts[name]:,} {name}" for name in _WRONG if found.counts[name]]
            return f"The conservation law does NOT hold{': ' + ', '.join(wrong) if wrong else ''}."
        if not self._stage.kind:
            number = self._export.rows - self._untold
            among = f", among the {self._export.rows:,} rows that left the recipe" if self._untold else ""
            return (
                f"The conservation law holds: {many(number, 'row')} of INPUT {agree(number, 'is', 'are')} in the "
                f"export, each once{among}."
            )
        if entered is None:
            return (
                f"The conservation law holds: {many(self._export.rows, 'row')} "
                f"{agree(self._export.rows, 'was', 'were')} selected, and as many are in the export."
            )
        there = len(entered) - len(missing)
        as_they_were = "as they were"
        if self._changed_later:
            as_they_were = f"all but {self._changed_later:,} as they were"
        if not missing:
            return (
                f"The conservation law holds: {agree(there, 'the only row', f'all {there:,} rows')} that "
                f"{self._stage.verb_of(there)} {agree(there, 'is', 'are')} in the export exactly once, {as_they_were}."
            )
        said = (
            f"The conservation law holds: of the {many(len(entered), 'row')} that "
            f"{self._stage.verb_of(len(entered))}, {there:,} {agree(there, 'is', 'are')} in the export exactly once, "
            f"{as_they_were}."
        )
        if fates[BETWEEN]:
            said += f" Between the merger and the gate {_rows(fates[BETWEEN])} removed."
        removed = {fate: self._rows_of(missing, fate) for fate in (DROPPED, LATER)}
        parts = [(removed[DROPPED], "by its min_score or max_score"), (removed[LATER], self._by_later())]
        if any(removed.values()):
            own = self._own_name
            told = " and ".join(f"{number:,} {by}" for number, by in parts if number)
            units = fates[DROPPED] + fates[LATER]
            rows = sum(removed.values())
            hold = agree(rows, "holds", "hold")
            holding = "" if units == rows else f", which {hold} {units:,} that {self._stage.verb_of(units)}"
            said += f" After {own} {_rows(rows)} removed{holding}: {told}."
        return said

    def _by_later(self) -> str:
        return f"by operators after it ({listed(self._takers_after)})"

    @property
    def _own_name(self) -> str:
        if self._stage.gates:
            return "the gate"
        return "the merger" if self._stage.kind == MERGER else self._operator

    @property
    def _operator(self) -> str:
        """Return the registry name of the operator whose rows are checked."""
        return next(iter(self._recipe.of_kinds({self._stage.kind})[-1:]), f"the {self._stage.kind}")

    def _rows_of(self, missing: Mapping[str, str], fate: str) -> int:
        """Return the number of the stage's output rows with a fate; a merged row counts once."""
        if fate == DROPPED:
            return len(set(self._stage.of_gates("dropped"))) if fate in missing.values() else 0
        return len({self._stage.whereabouts.get(unit) or unit for unit, of_one in missing.items() if of_one == fate})

    def _not_entered(self, entered: int) -> dict[str, int]:
        """Return the numbers of rows that never entered the merger: removed before our operators, and not selected."""
        never = len(self._inputs) - entered
        grouped = next((record["figures"].get("rows_in") for record in self._run.of_kind(GROUPER)), None)
        if grouped is None or never < 0:
            return {"never entered the merger": never}
        return {
            "never entered the merger": never,
            "  of them taken away before the grouper": len(self._inputs) - grouped,
            "  of them not selected": grouped - entered,
        }

    _changed = 0
    _changed_later = 0
    _doubled = 0
    _misplaced = 0
    _foreign = 0
    _untold = 0
    _takers: tuple[str, ...] = ()
    _takers_after: tuple[str, ...] = ()


def _first(sentences: Sequence[str], what: str) -> Iterator[str]:
    """Yield the first few sentences, and the number of all."""
    yield from sentences[:_SHOWN]
    if len(sentences) > _SHOWN:
        yield f"... and so on: {len(sentences):,} {what}."


def _dropped_on_record(record: Record) -> int:
    """Return the number of rows that an operator dropped according to its record."""
    figures, role = record.get("figures") or {}, record.get("role") or {}
    # What is missing after an operator that must not drop rows is lost.
    if role.get("may_drop") and {"rows_in", "rows_out"} <= figures.keys():
        return int(figures["rows_in"]) - int(figures["rows_out"])
    return int(figures.get("filtered_out") or 0)


def _rows(number: int) -> str:
    return f"{many(number, 'row')} {agree(number, 'was', 'were')}"


def _belongs(merge: str | None) -> str:
    return "is a separate row" if merge is None else f"is a parent of {merge}"


def _where(place: Place) -> str:
    return f"Row {place.row}" if place.parent is None else f"Parent {place.parent} of row {place.row}"


def _doubled_sentence(row_id: str, places: Sequence[Place]) -> str:
    where = " and ".join(_where(place) if not at else _where(place).lower() for at, place in enumerate(places))
    return f"{where} of the export are the same row {row_id}."


def _changed_sentence(suspect: Suspect, columns: Sequence[str]) -> str:
    return f"{_where(suspect.place)} of the export is not the row {suspect.row_id} any more: {listed(columns)} changed."
