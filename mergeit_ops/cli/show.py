"""`show`: print what each operator did, counts of the exported rows, and some merges, rewritten and chosen rows."""

from __future__ import annotations

import argparse
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mergeit_ops.cli.terminal import say
from mergeit_ops.core.formats.turns import spoken
from mergeit_ops.core.rows import lineage, rewrites
from mergeit_ops.core.text.counts import many

if TYPE_CHECKING:
    from mergeit_ops.runs import ExportRow
    from mergeit_ops.runs.records import Record, Records

NAME = "show"
HELP = "Show what each operator of a run did, count the exported rows, and print merges, rewritten and chosen rows."
EXAMPLE = ("show outputs/quickstart/merged.jsonl --merges 3",)

_WIDTH = 100
_INDENT = "    "
_NOTED = {"topics": "topic", "pairs": "pair", "merged": None, "accepted": None, "calls": "call"}
"""Figures of a record that follow its rows in the table, and their names in the singular."""

_NOT_MERGED = "not merged"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("export", type=Path, help="the exported file, or the folder that Ray wrote")
    parser.add_argument("--merges", type=int, default=1, help="number of merges to show (default: 1)")
    parser.add_argument("--rewrites", type=int, default=1, help="number of rewritten rows to show (default: 1)")
    parser.add_argument(
        "--chosen", type=int, default=1, help="number of rows to show if a recipe only selects (default: 1)"
    )


def run(options: argparse.Namespace) -> int:
    """Print the counts and the merges."""
    from mergeit_ops.runs import read_run

    counts = Counter({lineage.ORIGINAL: 0, lineage.MERGED: 0, lineage.RESTORED: 0})
    shown: list[ExportRow] = []
    rewritten: list[ExportRow] = []
    chosen: list[ExportRow] = []
    topics: set[int] = set()
    total = 0
    finished = read_run(options.export)
    choosers = _choosers(finished.records)
    if lines := list(_operators(finished.records.operators)):
        say("\n".join(lines))
    for row in finished.rows():
        counts[row.lineage.status or _NOT_MERGED] += 1
        if row.lineage.status is None and choosers:
            chosen += [row] if len(chosen) < options.chosen else []
            topics |= set() if row.lineage.topic_id is None else {row.lineage.topic_id}
        if row.lineage.status == lineage.MERGED and len(shown) < options.merges:
            shown.append(row)
        if row.lineage.meta.get(rewrites.STATUS) == rewrites.REWRITTEN:
            total += 1
            rewritten += [row] if len(rewritten) < options.rewrites else []
    if dry := finished.records.dry:
        say(f"Dry run: {', '.join(dry)} called no model, so the rows are not a result.")
    if choosers:
        among = f" from {many(len(topics), 'topic')}" if topics else ""
        counts[f"original, chosen by {choosers}{among}"] = counts.pop(_NOT_MERGED, 0)
    say(
        f"{many(counts.total(), 'row')}: " + ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    )
    if total:
        say(f"{total} of them are rewritten")
    for row in shown:
        say("\n".join(_merge_beside_parents(row)))
    for row in rewritten:
        say("\n".join(_rewritten_beside_parent(row)))
    for row in () if shown or rewritten else chosen:
        say("\n".join(_chosen(row, choosers)))
    return 0


def _choosers(records: Records) -> str:
    """Return the operators of a run that chose among rows, in words; empty if it merged, or if none did."""
    from mergeit_ops.runs.recipe_steps import GATE, GROUPER, MERGER

    if records.of_kind(MERGER):
        return ""
    roles = ((str(record["operator"]), record.get("role") or {}) for record in records.operators)
    names = [
        name
        for name, role in roles
        if role.get("may_drop") and not role.get("changes_rows") and role.get("kind") not in (GATE, GROUPER)
    ]
    return " and ".join(dict.fromkeys(names))


def _chosen(row: ExportRow, choosers: str) -> Iterable[str]:
    yield ""
    topic = "" if row.lineage.topic_id is None else f", topic {row.lineage.topic_id}"
    yield f"CHOSEN by {choosers}{topic}"
    yield from _content(row.content)


def _operators(records: Sequence[Record]) -> Iterable[str]:
    """Yield a line for each operator that counted its rows; nothing if none did."""
    counted = [record for record in records if "rows_in" in record.get("figures", {})]
    if not counted:
        return
    width = max(len(str(record["operator"])) for record in counted)
    yield f"{'operator':{width}}  rows in  rows out  seconds"
    for record in counted:
        figures = record["figures"]
        notes = ", ".join(
            many(figures[name], one) if one else f"{figures[name]:,} {name}"
            for name, one in _NOTED.items()
            if isinstance(figures.get(name), int)
        )
        # An operator that turns rows into topics records no number of rows.
        left = "" if figures.get("rows_out") is None else f"{figures['rows_out']:,}"
        rows = f"{figures['rows_in'] or 0:7,}  {left:>8}  {figures.get('seconds') or 0:7.1f}"
        yield f"{record['operator']:{width}}  {rows}  {notes}".rstrip()
    yield ""


def _merge_beside_parents(row: ExportRow) -> Iterable[str]:
    yield ""
    after, before = row.quality.after, row.quality.before
    scores = f", quality {after:.2f} (parents {before:.2f})" if after is not None and before is not None else ""
    similarity = "" if row.lineage.similarity is None else f", similarity {row.lineage.similarity:.2f}"
    yield f"MERGED by {row.lineage.model}{similarity}{scores}"
    yield from _content(row.content)
    for number, parent in enumerate(row.parents, start=1):
        yield f"  from parent {number}"
        yield from _content({name: parent[name] for name in row.content if name in parent})


def _rewritten_beside_parent(row: ExportRow) -> Iterable[str]:
    meta = row.lineage.meta
    yield ""
    yield f"REWRITTEN by {meta.get(rewrites.MODEL)} ({meta.get(rewrites.METHOD)})"
    yield from _content(row.content)
    yield "  it was"
    before = row.before_rewriting.content
    yield from _content({name: before[name] for name in row.content if name in before})


def _content(row: Mapping[str, Any]) -> Iterable[str]:
    for name, value in row.items():
        if value not in (None, ""):
            for line in _lines(name, value):
                yield textwrap.fill(line, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT * 2)


def _lines(name: str, value: Any) -> Iterable[str]:
    turns = spoken(value)
    if turns is not None:
        yield f"{name}:"
    for said_by, text in turns or [(name, str(value))]:
        first, *rest = text.splitlines() or [""]
        yield from (f"{said_by}: {first}", *rest)
