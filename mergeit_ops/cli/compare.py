"""`compare`: measure several datasets and compare them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mergeit_ops.cli.arguments import html_file, needs, seed, whole_number, write_page
from mergeit_ops.cli.terminal import as_json, say
from mergeit_ops.core.formats import FORMAT_NAMES
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL
from mergeit_ops.errors import DatasetError, MergeItError

NAME = "compare"
HELP = "Compare datasets: quality, variety, redundancy, and how well each covers a reference."
EXAMPLE = (
    "compare recipes/data/sample_instructions.jsonl outputs/quickstart/merged.jsonl --output outputs/compare.html",
)

_MOST_FILES = 26
_NO_SCORER = "none"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = "Differences are those to the first file. docs/comparing.md explains the measures."
    parser.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="a dataset or an export, in any form and sample format"
    )
    parser.add_argument(
        "--reference", type=Path, help="the dataset from which the files were made, for coverage and topics"
    )
    parser.add_argument("--output", type=Path, help="HTML file to write")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--scorer",
        default="distilled",
        help="scorer of the quality: a name as in quality_gate_filter, package.module:Class, or none (default: "
        "distilled)",
    )
    parser.add_argument(
        "--scored",
        type=whole_number,
        default=2_000,
        metavar="N",
        help="number of random rows of each file to score; 0: none (default: 2000)",
    )
    parser.add_argument(
        "--embedding-model",
        default=DEFAULT_EMBEDDING_MODEL,
        help=f"name on the Hugging Face Hub, or a folder (default: {DEFAULT_EMBEDDING_MODEL})",
    )
    parser.add_argument("--seed", type=seed, default=42, help="seed of topics, subsets and intervals (default: 42)")
    parser.add_argument(
        "--sample-format", choices=FORMAT_NAMES, default="auto", help="sample format of all files (default: auto)"
    )
    for key in ("instruction", "query", "response"):
        parser.add_argument(f"--{key}-key", help=f"column of the {key}, if it has another name")


def run(options: argparse.Namespace) -> int:
    """Read, measure, print, write the page."""
    if len(options.files) > _MOST_FILES:
        raise DatasetError(f"compare takes at most {_MOST_FILES} files, got {len(options.files)}.")
    if options.output is not None:
        html_file(options.output)
        needs("compare --output", "jinja2", "plotly")

    from mergeit_ops.compare.figures import as_figures
    from mergeit_ops.compare.measuring import compare_sets
    from mergeit_ops.compare.reading import read_set
    from mergeit_ops.compare.scoring import scores_of
    from mergeit_ops.compare.table import as_table
    from mergeit_ops.report.space import embed, encoder
    from mergeit_ops.report.survey import Point
    from mergeit_ops.scorers import PayingScorer, build_scorer

    def tell(line: str) -> None:
        say(line, file=sys.stderr, flush=True)

    # Checked before the work, so that a wrong name does not cost minutes.
    scoring = options.scorer != _NO_SCORER and options.scored > 0
    scorer = build_scorer(options.scorer) if scoring else None
    if isinstance(scorer, PayingScorer):
        for engine in scorer.engines():
            engine.check()
    layout = {f"{key}_key": getattr(options, f"{key}_key") for key in ("instruction", "query", "response")}
    layout |= {"name": options.sample_format}
    sets = []
    for path in options.files:
        tell(f"Reading {path} ...")
        sets.append(read_set(path, layout))
    reference = None
    if options.reference is not None:
        tell(f"Reading {options.reference} ...")
        try:
            reference = read_set(options.reference, layout)
        except MergeItError as error:
            raise DatasetError(f"--reference: {error}") from error
    every = [*sets, *([] if reference is None else [reference])]
    points = [
        [Point(sample.query, own) for sample, own in zip(one.samples, one.embeddings, strict=True)] for one in every
    ]
    vectors, embedded = embed(points, encoder(options.embedding_model, tell))
    scores = scores_of(sets, scorer, options.scored, tell) if scorer is not None else [{} for _ in sets]
    found = compare_sets(sets, reference, vectors, scores, seed=options.seed, say=tell)
    made_with = {
        "embedding_model": options.embedding_model if embedded else None,
        "scorer": options.scorer if scorer is not None else None,
    }
    if options.json:
        say(as_json(as_figures(found, made_with), indent=2))
    else:
        say(as_table(found))
        if reference is None:
            say("\nWithout --reference there is no coverage, and there are no topics.")
    if options.output is not None:
        from mergeit_ops.compare.page import page

        size = write_page(options.output, page(found, made_with))
        tell(f"{options.output}: {size / 1e6:.1f} MB")
    return 0
