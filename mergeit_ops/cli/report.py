"""`report`: one HTML file about a finished run."""

from __future__ import annotations

import argparse
from pathlib import Path

from mergeit_ops.errors import DatasetError, MissingDependencyError

NAME = "report"
HELP = "Write one HTML file about a finished run: its funnel, topics, merges, quality and cost. It needs no network."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("export", type=Path, help="the exported file, or the folder that a run on Ray has written")
    parser.add_argument("--output", type=Path, default=Path("report.html"), help="file to write (default: report.html)")
    parser.add_argument(
        "--input", type=Path, help="the dataset that went in, a file or a folder, to compare with what came out"
    )
    parser.add_argument("--work-dir", type=Path, help="the run's work dir (default: looked for beside the export)")
    parser.add_argument(
        "--sample",
        type=_whole_number,
        default=2_000,
        metavar="N",
        help="rows in and out to embed for map and comparison, where they bring no embeddings; 0: none (default: 2000)",
    )
    parser.add_argument("--embedding-model", help="name or folder (default: the one of the run)")


def run(options: argparse.Namespace) -> int:
    """Gather the findings and write the page."""
    if options.output.is_dir():
        raise DatasetError(f"--output must be a file to write; '{options.output}' is a folder.")
    if options.output.exists() and options.output.suffix.lower() not in (".html", ".htm"):
        # A slip of the arguments must not cost a dataset.
        raise DatasetError(f"--output: '{options.output}' is there and is no .html file; name another.")
    try:
        # Before the work: an installation without them should not cost minutes.
        import jinja2  # noqa: F401
        import plotly  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"report needs the package {error.name}, which is not installed: pip install {error.name}"
        ) from error

    from mergeit_ops.finished import read_run
    from mergeit_ops.report.findings import find
    from mergeit_ops.report.page import page

    found = find(
        read_run(options.export, options.work_dir),
        input_path=options.input,
        sample=options.sample,
        embedding_model=options.embedding_model,
        say=lambda line: print(line, flush=True),
    )
    html = page(found).encode("utf-8")
    try:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_bytes(html)
    except OSError as error:
        raise DatasetError(f"--output: '{options.output}' cannot be written ({error}).") from error
    print(f"{options.output}: {len(html) / 1e6:.1f} MB")
    return 0


def _whole_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 0, got {text}")
    return int(text)
