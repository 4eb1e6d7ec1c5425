"""`cache`: show or empty the journals of LLM answers and of losses."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from mergeit_ops.cli.arguments import whole_number
from mergeit_ops.cli.terminal import say
from mergeit_ops.core.text.counts import many
from mergeit_ops.errors import DatasetError

NAME = "cache"
HELP = "Show the contents of the journal of LLM answers or of losses, or remove them."
EXAMPLE = ("cache --show 3",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("path", nargs="?", help="cache_path of a recipe (default: the journal in the cache folder)")
    parser.add_argument("--losses", action="store_true", help="use the losses of local models instead of the answers")
    parser.add_argument("--show", type=whole_number, default=0, metavar="N", help="print the newest N entries")
    parser.add_argument(
        "--empty", action="store_true", help="remove all entries; later runs pay for them or compute them again"
    )
    parser.add_argument(
        "--older-than", type=_at_least_0, metavar="DAYS", help="with --empty: remove only entries of at least this age"
    )


def run(options: argparse.Namespace) -> int:
    """Print the contents of a journal, or remove them."""
    from mergeit_ops.llm import journal_contents
    from mergeit_ops.llm.journal import ANSWERS_FILE, LOSSES_FILE, default_cache_path, journal_file

    kind, one, file_name = ("losses", "loss", LOSSES_FILE) if options.losses else ("answers", "answer", ANSWERS_FILE)
    if options.path == "":
        # This happens with an unset shell variable. Without the check, --empty would empty the default journal.
        raise DatasetError(
            "The path is empty: give the cache_path of a recipe, or leave it out for the default journal."
        )
    path = journal_file(options.path, file_name) or default_cache_path(file_name)
    if options.older_than is not None and not options.empty:
        raise DatasetError("--older-than limits what --empty removes: give --empty with it.")
    if not _is_there(path):
        say(f"{path}: no such file, so no {kind} are stored.")
        return 0
    if options.empty:
        removed = journal_contents.forget(path, options.older_than or 0)
        say(f"{path}: {many(removed, one, kind)} removed.")
        return 0
    models = journal_contents.by_model(path)
    say(f"{path}: {many(sum(part.answers for part in models), one, kind)}, {_size(path)}")
    for part in models:
        tokens = f"{part.prompt_tokens:,} prompt and {part.completion_tokens:,} completion tokens, "
        say(
            f"  {part.model or 'unknown model'}: {many(part.answers, one, kind)}, {'' if options.losses else tokens}"
            f"{_day(part.first_at)} to {_day(part.last_at)}"
        )
    for answer in journal_contents.latest(path, options.show):
        say(f"\n{_day(answer.created_at)}, {answer.model or 'unknown model'}:\n{answer.text}")
    return 0


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise DatasetError(f"The answer cache {path} cannot be read ({error.strerror}).") from error


def _at_least_0(text: str) -> float:
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"must be at least 0, got {text}")
    return value


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
