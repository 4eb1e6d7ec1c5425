"""`distill`: train weights for the `distilled` scorer from a judge, or from scored rows."""

from __future__ import annotations

import argparse
from pathlib import Path

from mergeit_ops.cli.distill_judge import run_judged
from mergeit_ops.cli.terminal import say
from mergeit_ops.core.formats import FORMAT_NAMES
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL
from mergeit_ops.errors import DatasetError, RecipeError

NAME = "distill"
HELP = "Train weights for the `distilled` scorer from a judge or from your own scores, and show how accurate they are."
EXAMPLE = (
    "distill --judge alpagasus_accuracy --data recipes/data/sample_instructions.jsonl "
    "--output outputs/my_scorer --dry-run",
)

_ROWS = 2_000
_WEIGHTS = "weights.npz"
_OF_JUDGE = ("judge_params", "data", "rows", "dry_run", "no_deduction")
"""Options that only `--judge` uses. Options for the format of `--data` are not in this list: they do no harm."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = "docs/own_scorer.md explains what a scorer of your own costs, and when a gate can use it."
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--judge",
        metavar="NAME",
        help="scores the rows of --data: a scorer as in quality_gate_filter, package.module:Class, or a rubric of "
        "llm_judge such as alpagasus_accuracy",
    )
    source.add_argument(
        "--scored",
        type=Path,
        help="JSON Lines with instruction, output and a score from 1 to 6; optionally input and kind (the figures are "
        "also shown for each kind)",
    )
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    judged = parser.add_argument_group("with --judge")
    judged.add_argument(
        "--judge-params", metavar="PARAMS", help="scorer_params of the judge: JSON, or the path of a JSON or YAML file"
    )
    judged.add_argument("--data", type=Path, help="a dataset, in any form and sample format")
    judged.add_argument(
        "--rows",
        type=int,
        help=f"number of rows for the judge to score, spread over topics and lengths (default: {_ROWS})",
    )
    judged.add_argument("--dry-run", action="store_true", help="print the price; call no model and write nothing")
    judged.add_argument(
        "--no-deduction",
        action="store_true",
        help="do not lower scores for padding, repetition and foreign text; use it if the judge does not rate the "
        "answer, or if low scores are good",
    )
    judged.add_argument(
        "--sample-format", choices=FORMAT_NAMES, default="auto", help="sample format of the data (default: auto)"
    )
    for key in ("instruction", "query", "response"):
        judged.add_argument(f"--{key}-key", help=f"column of the {key}, if it has another name")
    scored = parser.add_argument_group("with --scored")
    scored.add_argument("--score-key", default="quality_score", help="field with the score (default: quality_score)")
    parser.add_argument(
        "--embedding-model",
        default=DEFAULT_EMBEDDING_MODEL,
        help=f"name on the Hugging Face Hub, or a folder (default: {DEFAULT_EMBEDDING_MODEL})",
    )
    parser.add_argument(
        "--seed", type=int, default=42, help="seed of samples, splits, draws and spoiled copies (default: 42)"
    )


def run(options: argparse.Namespace) -> int:
    """Train, measure, print the figures and write the folder."""
    if options.output.exists() and not options.output.is_dir():
        raise DatasetError(f"--output must be a folder to write weights to; '{options.output}' is a file.")
    if options.output.is_dir() and any(options.output.iterdir()) and not (options.output / _WEIGHTS).is_file():
        # A mistake in the arguments must not overwrite the config.json of a model.
        raise DatasetError(f"--output: the folder '{options.output}' contains other files; name a new folder.")
    if not 0 <= options.seed < 2**32:
        raise DatasetError(f"--seed must be an integer from 0 to {2**32 - 1}, got {options.seed}.")
    if Path(options.embedding_model).is_dir():
        # The weights store this path and are used from other working directories.
        options.embedding_model = str(Path(options.embedding_model).absolute())
    if options.judge is not None:
        if options.data is None:
            raise RecipeError("--judge needs --data, the rows that it scores.")
        options.rows = _ROWS if options.rows is None else options.rows
        return run_judged(options)
    needless = [name for name in _OF_JUDGE if getattr(options, name) not in (None, False)]
    if needless:
        raise RecipeError(
            f"--{needless[0].replace('_', '-')} works only with --judge, because --scored rows already have scores."
        )
    return _run_scored(options)


def _run_scored(options: argparse.Namespace) -> int:
    from mergeit_ops.scorers.distilled_training import draw_rows, read_scored_rows

    found = read_scored_rows(options.scored, options.score_key)
    try:
        # Made before the work, so that a folder that cannot be written does not cost minutes.
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(f"--output: the folder '{options.output}' cannot be created ({error}).") from error
    rows = draw_rows(found, options.seed)
    drawn = f", drawn from {len(found):,}" if len(rows) < len(found) else ""
    say(f"Embedding {len(rows):,} scored rows{drawn}, and spoiled copies of some of them ...", flush=True)

    from mergeit_ops.embedding import load_encoder
    from mergeit_ops.scorers.distilled_figures import as_tables, nested_cross_validation
    from mergeit_ops.scorers.distilled_training import (
        build_training_data,
        choose_settings,
        describe_training,
        fit,
        save,
    )

    data = build_training_data(rows, load_encoder(options.embedding_model, dtype="float32"), seed=options.seed)
    say("Measuring by nested cross-validation, then training on all rows ...", flush=True)
    figures = nested_cross_validation(data, seed=options.seed)
    settings = choose_settings(data, seed=options.seed)
    model = fit(data, settings).export(data.embedding_model, data.probe_embedding)
    trained_on = describe_training(data, model)
    say(f"\n{as_tables(figures)}\n\nTrained on {trained_on.sentence()}\n")
    try:
        save(model, options.output, figures, settings, trained_on=trained_on)
    except OSError as error:
        raise DatasetError(f"The weights could not be written to '{options.output}' ({error}).") from error
    for file in sorted(options.output.glob("*.*")):
        say(f"{file.stat().st_size:>12,} bytes  {file}")
    say(f"\nTo use it: scorer_params: {{path: {options.output}}}")
    return 0
