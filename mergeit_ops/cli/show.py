"""`show`: what became of the rows of an export, and a merge with its parents."""

from __future__ import annotations

import argparse
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mergeit_ops.core import lineage
from mergeit_ops.core.columns import META, STATS, is_content
from mergeit_ops.core.formats.chat import spoken
from mergeit_ops.core.lossless import decode_row
from mergeit_ops.errors import DatasetError

NAME = "show"
HELP = "Count what became of the rows of a JSONL export, and show merges beside their parents."

_WIDTH = 100
_INDENT = "    "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("export", type=Path, help="a JSONL export")
    parser.add_argument("--merges", type=int, default=1, help="how many merges to show (default: 1)")


def run(options: argparse.Namespace) -> int:
    """Print the counts and the merges."""
    if not options.export.is_file():
        raise DatasetError(f"There is no file {options.export}.")
    counts = Counter({lineage.ORIGINAL: 0, lineage.MERGED: 0, lineage.RESTORED: 0})
    shown: list[Mapping[str, Any]] = []
    for row in _rows(options.export):
        meta = row.get(META) or {}
        counts[meta.get(lineage.STATUS, "without merge lineage")] += 1
        if meta.get(lineage.STATUS) == lineage.MERGED and len(shown) < options.merges:
            shown.append(row)
    print(f"{counts.total()} rows: " + ", ".join(f"{count} {status}" for status, count in counts.items() if count))
    for row in shown:
        print("\n".join(_merge_beside_parents(row)))
    return 0


def _rows(export: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of an export, with the lineage that Data-Juicer writes beside it where it left it out of it."""
    import jsonlines

    beside = export.with_name(f"{export.stem}_stats.jsonl")
    try:
        with jsonlines.open(export) as rows:
            if not beside.is_file():
                yield from rows.iter(type=dict)
                return
            with jsonlines.open(beside) as stats:
                for row, lineage_of_row in zip(rows.iter(type=dict), stats.iter(type=dict), strict=True):
                    yield {**row, **lineage_of_row}
    except (jsonlines.InvalidLineError, UnicodeDecodeError) as error:
        raise DatasetError(f"{export} is no JSONL; export to a path that ends in .jsonl.") from error


def _merge_beside_parents(row: Mapping[str, Any]) -> Iterable[str]:
    meta, stats = row[META], row.get(STATS) or {}
    yield ""
    after, before = stats.get(lineage.QUALITY_AFTER), stats.get(lineage.QUALITY_BEFORE)
    scores = f", quality {after:.2f} (parents {before:.2f})" if after is not None and before is not None else ""
    yield f"MERGED by {meta[lineage.MODEL]}, similarity {meta[lineage.SIMILARITY]:.2f}{scores}"
    yield from _content(row)
    for number, parent in enumerate(meta[lineage.PARENTS], start=1):
        yield f"  from parent {number}"
        fields = decode_row(parent)
        yield from _content({name: fields[name] for name in row if name in fields})


def _content(row: Mapping[str, Any]) -> Iterable[str]:
    for name, value in row.items():
        if is_content(name) and value not in (None, ""):
            for line in _lines(name, value):
                yield textwrap.fill(line, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT * 2)


def _lines(name: str, value: Any) -> Iterable[str]:
    turns = spoken(value)
    if turns is not None:
        yield f"{name}:"
    for said_by, text in turns or [(name, str(value))]:
        first, *rest = text.splitlines() or [""]
        yield from (f"{said_by}: {first}", *rest)
