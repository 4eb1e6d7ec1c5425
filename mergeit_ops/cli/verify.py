"""`verify`: check the conservation law on a finished run, and write what became of every row of its input."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mergeit_ops.cli.terminal import as_json, say
from mergeit_ops.errors import DatasetError, LineageMismatchError

if TYPE_CHECKING:
    from mergeit_ops.runs.tracing import RowOutcome
    from mergeit_ops.runs.verification import Verification

NAME = "verify"
HELP = "Check that a finished run lost, doubled or changed no row, and show what became of every row."
EXIT_CODES = (
    "0: the conservation law holds; 1: it does not; 2: a needed file is missing or cannot be read, or the arguments "
    "are wrong; 130: interrupted."
)
EXAMPLE = ("verify recipes/data/sample_instructions.jsonl outputs/quickstart/merged.jsonl",)

_HOLDS, _VIOLATED, _UNDECIDED = 0, 1, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "inputs",
        type=Path,
        nargs="+",
        metavar="INPUT",
        help="the dataset that the recipe was run on, a file or a folder; several if the recipe has several sources",
    )
    parser.add_argument("export", type=Path, metavar="EXPORT", help="the exported file, or the folder that Ray wrote")
    parser.add_argument("--work-dir", type=Path, help="the run's work dir (default: search near the export)")
    parser.add_argument(
        "--rows", metavar="FILE", help="write what became of each row of INPUT, as JSON Lines; -: standard output"
    )


def run(options: argparse.Namespace) -> int:
    """Check the run, print the table and the findings, and write the rows."""
    from mergeit_ops.runs import read_run
    from mergeit_ops.runs.inputs import read_input
    from mergeit_ops.runs.verification import verify

    try:
        finished = read_run(options.export, options.work_dir)
        found = verify(finished, read_input(*options.inputs))
    except LineageMismatchError as error:
        say(f"The conservation law does NOT hold: {error}")
        return _VIOLATED
    except DatasetError as error:
        say(f"error: {error}", file=sys.stderr)
        return _UNDECIDED
    where = finished.work_dir or "none found"
    # If the rows go to standard output, the summary goes to standard error.
    summary = sys.stderr if options.rows == "-" else sys.stdout
    # If the reader closes the pipe, the exit code still gives the result.
    with suppress(BrokenPipeError):
        say(f"Record of the run: {where}", file=summary)
        say(_table(found), file=summary)
        say("\n".join(_sentences(found)), file=summary, flush=True)
        if dry := finished.records.dry:
            say(f"This was a dry run: {', '.join(dry)} called no model, so the rows are not a result.", file=summary)
    if options.rows is not None:
        try:
            with suppress(BrokenPipeError):
                _write(found.fates, options.rows)
        except OSError as error:
            say(f"error: --rows: '{options.rows}' cannot be written ({error}).", file=sys.stderr)
            return _UNDECIDED
    return {True: _HOLDS, False: _VIOLATED, None: _UNDECIDED}[found.holds]


def _table(found: Verification) -> str:
    width = max(len(name) for name in found.counts)
    return "\n".join(f"{name:{width}}  {number:>10,}" for name, number in found.counts.items())


def _sentences(found: Verification) -> Iterable[str]:
    yield found.headline
    yield from (f"  {sentence}" for sentence in (*found.violations, *found.undecided))
    if found.remarks:
        yield "What is not proved:"
        yield from (f"  {sentence}" for sentence in found.remarks)


def _write(fates: Iterable[RowOutcome], target: str) -> None:
    with nullcontext(sys.stdout) if target == "-" else open(target, "w", encoding="utf-8") as file:
        for fate in fates:
            fields = {name: value for name, value in asdict(fate).items() if value not in (None, False)}
            say(as_json(fields, file), file=file)
