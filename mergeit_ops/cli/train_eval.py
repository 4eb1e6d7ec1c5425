"""`train-eval`: find out which set trains a small student better."""

from __future__ import annotations

import argparse
import math
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from mergeit_ops.cli.arguments import html_file, needs, seed, whole_number, write_page
from mergeit_ops.cli.terminal import as_json, say
from mergeit_ops.core.formats import FORMAT_NAMES
from mergeit_ops.core.text.counts import many
from mergeit_ops.errors import DatasetError

if TYPE_CHECKING:
    from mergeit_ops.training.price import Price
    from mergeit_ops.training.settings import FineTuningSettings

NAME = "train-eval"
HELP = "Train a small student on sets of rows, and say what each set is worth in tokens of random rows."
EXAMPLE = (
    "train-eval outputs/quickstart/merged.jsonl --pool recipes/data/sample_instructions.jsonl "
    "--heldout recipes/data/sample_multilingual.jsonl --student HuggingFaceTB/SmolLM2-135M --dry-run",
)

_MOST_FILES = 26
_DRAWS = 3
_TRAINED = ("top", "lora", "full")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = "docs/train_eval.md explains the method, its limits and its cost."
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="a set of rows, in any form and sample format; with several pools, a folder with one file for each pool "
        "that has the name of the pool",
    )
    parser.add_argument(
        "--pool",
        type=Path,
        nargs="+",
        required=True,
        metavar="POOL",
        help="the dataset from which the sets were made; random rows come from it. With several pools, each draw uses "
        "another one",
    )
    parser.add_argument("--heldout", type=Path, required=True, help="rows whose losses are measured")
    parser.add_argument(
        "--student", required=True, help="causal language model: name on the Hugging Face Hub, or a folder"
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("train_eval.jsonl"),
        help="JSON Lines file of results, which a later run continues (default: train_eval.jsonl)",
    )
    parser.add_argument("--output", type=Path, help="HTML file to write")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--dry-run", action="store_true", help="print the price in seconds, and train nothing")
    parser.add_argument(
        "--limit-s", type=_positive, help="start no training that would end after this number of seconds"
    )
    parser.add_argument(
        "--answer-tokens",
        type=_from_one,
        help="answer tokens of each training; a smaller set is repeated (default: those of the smallest set, at most "
        "half of the pool)",
    )
    parser.add_argument(
        "--draws",
        type=_from_one,
        help="draws of rows for every set and control (default: 3, or the number of pools if there are several)",
    )
    parser.add_argument(
        "--seeds", type=_from_one, default=2, help="number of training orders for each draw (default: 2)"
    )
    parser.add_argument(
        "--train",
        choices=_TRAINED,
        default=_TRAINED[0],
        help="trained part of the student: upper layers, adapters, or everything (default: top)",
    )
    parser.add_argument(
        "--layers", type=_from_one, default=None, help="for top: number of trained layers (default: a quarter)"
    )
    parser.add_argument("--lora-rank", type=_from_one, default=16, help="for lora: rank of the adapters (default: 16)")
    parser.add_argument(
        "--learning-rate",
        type=_positive,
        help="highest learning rate of AdamW (default: top 3e-4, lora 5e-4, full 5e-5)",
    )
    parser.add_argument("--epochs", type=_from_one, default=1, help="number of passes over the rows (default: 1)")
    parser.add_argument(
        "--step-tokens", type=_from_one, default=512, help="approximate answer tokens of a step (default: 512)"
    )
    parser.add_argument("--max-length", type=_from_one, default=512, help="maximum tokens of a text (default: 512)")
    parser.add_argument("--device", help="cpu, cuda or cuda:N (default: a GPU if there is one)")
    parser.add_argument("--seed", type=seed, default=42, help="seed of the draws (default: 42)")
    parser.add_argument(
        "--sample-format", choices=FORMAT_NAMES, default="auto", help="sample format of all files (default: auto)"
    )
    for key in ("instruction", "query", "response"):
        parser.add_argument(f"--{key}-key", help=f"column of the {key}, if it has another name")


def run(options: argparse.Namespace) -> int:
    """Read the rows, print the price, train, print the results and write the page."""
    if len(options.files) > _MOST_FILES:
        raise DatasetError(f"train-eval takes at most {_MOST_FILES} files, got {len(options.files)}.")
    if options.output is not None:
        html_file(options.output)
        needs("train-eval --output", "jinja2", "plotly")
    from mergeit_ops.training.pool_files import files_of

    draws = _draws(options.draws, len(options.pool))
    # Checked before the student is loaded, which takes longer.
    for path in options.files:
        files_of(path, options.pool)
    if not options.heldout.exists():
        raise DatasetError(f"There is no file or folder {options.heldout}.")
    needs("train-eval", "torch", "transformers")

    from mergeit_ops.training.encoding import RowEncoder
    from mergeit_ops.training.experiment import run_trainings
    from mergeit_ops.training.figures import as_figures
    from mergeit_ops.training.fitting import HeldOut
    from mergeit_ops.training.names import name_of
    from mergeit_ops.training.plan import Plan
    from mergeit_ops.training.preparing import budget_of, description_of, notes_on, prepared
    from mergeit_ops.training.price import price_of
    from mergeit_ops.training.results import Results
    from mergeit_ops.training.settings import experiment_id
    from mergeit_ops.training.student import load_student
    from mergeit_ops.training.summary import summarized
    from mergeit_ops.training.table import as_table

    def tell(line: str) -> None:
        say(line, file=sys.stderr, flush=True)

    student = load_student(options.student, _settings(options), options.device)
    encoder = RowEncoder(student.tokenizer, student.most_tokens)
    layout = {f"{key}_key": getattr(options, f"{key}_key") for key in ("instruction", "query", "response")}
    layout |= {"name": options.sample_format}
    found = prepared(options.files, options.pool, options.heldout, layout, encoder, tell)
    budget = budget_of(found, options.answer_tokens)
    for note in notes_on(found, encoder, budget):
        tell(note)
    if draws < 2:
        tell("One draw gives no interval, so the experiment cannot tell anything. Use --draws 2 or more.")
    plan = Plan([one for _, one in found.sets], found.pools, encoder, budget, options.seed)
    held_out = HeldOut(student, found.held_out.rows)
    description = description_of(student, found, budget, options.seed)
    results = Results(options.results, experiment_id(description))
    keys = list(plan.keys(draws, options.seeds))
    names = {one.read.digest: name for name, own in found.sets for one in own}
    written = {
        **description,
        "student": options.student,
        "versions": {name: version(name) for name in ("mergeit-ops", "torch", "transformers")},
        "heldout_ids": list(found.held_out.ids),
        "heldout_tokens": held_out.tokens,
    }
    results.open(written, read_only=options.dry_run)
    try:
        missing = [key for key in keys if key not in results.found]
        price = price_of(student, plan, held_out, missing)
        tell(_price(price, len(keys) - len(missing)))
        if options.dry_run:
            return 0
        left = run_trainings(
            student, plan, held_out, results, keys, options.limit_s, price, lambda key: name_of(key, names), tell
        )
    finally:
        results.close()
    done = summarized(found.sets, found.pools, results.found, held_out.tokens, left)
    made_with = {name: value for name, value in written.items() if not name.startswith("heldout_")}
    made_with["pools"] = [pool.read.digest for pool in found.pools]
    if options.json:
        say(as_json(as_figures(done, made_with), indent=2))
    else:
        say(as_table(done))
    if options.output is not None:
        from mergeit_ops.training.page import page

        size = write_page(options.output, page(done, found, made_with))
        tell(f"{options.output}: {size / 1e6:.1f} MB")
    return 0


def _draws(asked: int | None, pools: int) -> int:
    """Return the number of draws. With several pools, each is one draw, because the method chose once from each."""
    if pools == 1:
        return asked or _DRAWS
    if asked is not None and asked > pools:
        raise DatasetError(
            f"--draws {asked}: there are {pools} pools, and each is one draw. A second draw of a pool does not show "
            "what the method does with other rows. Give more pools, or more --seeds."
        )
    return asked or pools


def _settings(options: argparse.Namespace) -> FineTuningSettings:
    from mergeit_ops.training.settings import LEARNING_RATES, FineTuningSettings

    rate = options.learning_rate if options.learning_rate is not None else LEARNING_RATES[options.train]
    return FineTuningSettings(
        options.train,
        options.layers or 0,
        options.lora_rank,
        rate,
        options.epochs,
        options.step_tokens,
        options.max_length,
    )


def _price(price: Price, done: int) -> str:
    from mergeit_ops.report.rendering import seconds

    earlier = f"; {done} are done already" if done else ""
    if not price.trainings:
        return f"No training is left{earlier}."
    return (
        f"{many(price.trainings, 'training')} on {price.tokens:,} tokens: about {seconds(price.seconds)} on this "
        f"machine ({price.training_s:.0f} s for training, {price.evaluation_s:.0f} s for held-out losses){earlier}."
    )


def _from_one(text: str) -> int:
    number = whole_number(text)
    if not number:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text}")
    return number


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text}")
    return number
