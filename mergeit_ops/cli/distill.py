"""`distill`: train the `distilled` scorer on scored rows of one's own."""

from __future__ import annotations

import argparse
from pathlib import Path

from mergeit_ops.cli.terminal import say
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL
from mergeit_ops.errors import DatasetError

NAME = "distill"
HELP = "Train weights for the `distilled` scorer on rows with scores from 1 to 6, and say how far to trust them."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--scored",
        type=Path,
        required=True,
        help="JSON Lines with instruction, output and a score; optionally input, and kind: figures are given for each",
    )
    parser.add_argument("--score-key", default="quality_score", help="field of the score (default: quality_score)")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--embedding-model",
        default=DEFAULT_EMBEDDING_MODEL,
        help=f"name on the Hugging Face Hub, or a folder (default: {DEFAULT_EMBEDDING_MODEL})",
    )
    parser.add_argument("--seed", type=int, default=42, help="of splits, draws and spoiled copies (default: 42)")


def run(options: argparse.Namespace) -> int:
    """Train, measure, print the figures and write the folder."""
    from mergeit_ops.scorers.distilled_training import draw_rows, read_scored_rows

    if options.output.exists() and not options.output.is_dir():
        raise DatasetError(f"--output must be a folder to write weights to; '{options.output}' is a file.")
    if not 0 <= options.seed < 2**32:
        raise DatasetError(f"--seed must be an integer from 0 to {2**32 - 1}, got {options.seed}.")
    found = read_scored_rows(options.scored, options.score_key)
    try:
        # Before the work: a folder that cannot be written should not cost minutes.
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(f"--output: the folder '{options.output}' cannot be made ({error}).") from error
    rows = draw_rows(found, options.seed)
    drawn = f", drawn from {len(found):,}" if len(rows) < len(found) else ""
    say(f"Embedding {len(rows):,} scored rows{drawn}, and spoiled copies of a part of them ...", flush=True)

    from mergeit_ops.embedding.sentence_encoder import load_encoder
    from mergeit_ops.scorers.distilled_figures import as_tables, nested_cross_validation
    from mergeit_ops.scorers.distilled_training import build_training_data, choose_settings, fit, save

    data = build_training_data(rows, load_encoder(options.embedding_model, dtype="float32"), seed=options.seed)
    say("Measuring by nested cross-validation, then training on all of them ...", flush=True)
    figures = nested_cross_validation(data, seed=options.seed)
    settings = choose_settings(data, seed=options.seed)
    model = fit(data, settings).export(data.embedding_model, data.probe_embedding)
    say(f"\n{as_tables(figures)}\n")
    try:
        save(model, options.output, figures, settings)
    except OSError as error:
        raise DatasetError(f"The weights could not be written to '{options.output}' ({error}).") from error
    for file in sorted(options.output.glob("*.*")):
        say(f"{file.stat().st_size:>12,} bytes  {file}")
    say(f"\nTo use it: scorer_params: {{path: {options.output}}}")
    return 0
