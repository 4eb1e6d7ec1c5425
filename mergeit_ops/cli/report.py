"""`report`: write one HTML file about a finished run."""

from __future__ import annotations

import argparse
from pathlib import Path

from mergeit_ops.cli.arguments import html_file, needs, whole_number, write_page
from mergeit_ops.cli.terminal import say

NAME = "report"
HELP = "Write one HTML file about a finished run: its rows, topics, merges, quality and cost. It needs no network."
EXAMPLE = (
    "report outputs/quickstart/merged.jsonl --input recipes/data/sample_instructions.jsonl "
    "--output outputs/report.html",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("export", type=Path, help="the exported file, or the folder that Ray wrote")
    parser.add_argument("--output", type=Path, default=Path("report.html"), help="file to write (default: report.html)")
    parser.add_argument(
        "--input",
        type=Path,
        action="append",
        default=[],
        help="the input of the run, a file or a folder, to compare with the export; repeat it for several sources",
    )
    parser.add_argument("--work-dir", type=Path, help="the run's work dir (default: search near the export)")
    parser.add_argument(
        "--sample",
        type=whole_number,
        default=2_000,
        metavar="N",
        help="number of input rows, and of exported rows, for the map and the comparison; 0: none (default: 2000)",
    )
    parser.add_argument("--embedding-model", help="name or folder (default: the model of the run)")


def run(options: argparse.Namespace) -> int:
    """Read the run and write the page."""
    html_file(options.output)
    needs("report", "jinja2", "plotly")

    from mergeit_ops.report.page import page
    from mergeit_ops.report.surveyed_run import survey_run
    from mergeit_ops.runs import read_run

    run = survey_run(
        read_run(options.export, options.work_dir),
        inputs=options.input,
        sample=options.sample,
        embedding_model=options.embedding_model,
        say=lambda line: say(line, flush=True),
    )
    size = write_page(options.output, page(run))
    say(f"{options.output}: {size / 1e6:.1f} MB")
    return 0
