"""`batch`: write requests to files for a server that you run by hand, and manage the batches under way."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from mergeit_ops.cli.epilogs import EXIT_CODES, end_with
from mergeit_ops.cli.terminal import say
from mergeit_ops.core.text.counts import many
from mergeit_ops.errors import DatasetError

if TYPE_CHECKING:
    from mergeit_ops.llm.batches.ledger import Ledger

NAME = "batch"
HELP = "Write requests to files, read the responses, and list or drop the batches under way."
EXAMPLE = ("batch list",)

_LOG = "log.txt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    export = _action(
        actions,
        "export",
        _export,
        "run a recipe until its requests are written to files",
        "--config recipes/methods/alpagasus.yaml --folder outputs/requests",
        f"{EXIT_CODES} If no request is written, the exit code is that of the recipe's run.",
    )
    export.add_argument("--config", type=Path, required=True, help="the recipe")
    export.add_argument("--folder", type=Path, required=True, help="folder for the files of requests")
    read = _action(
        actions,
        "import",
        _import,
        "read files of responses, so that the next run of the recipe uses them",
        "outputs/requests/responses.jsonl",
    )
    read.add_argument("files", type=Path, nargs="+", metavar="FILE", help="output files, and error files")
    listed = _action(actions, "list", _list, "list the batches under way", "")
    forget = _action(
        actions,
        "forget",
        _forget,
        "drop a batch; the next run sends its requests, and pays for them, again",
        "outputs/requests/requests-1.jsonl",
    )
    forget.add_argument("name", help="id of the batch, or path of its file of requests")
    for action in (read, listed, forget):
        action.add_argument("--cache-path", help="cache_path of the recipe (default: the journal in the cache folder)")


def run(options: argparse.Namespace) -> int:
    """Run an action."""
    return int(options.action(options))


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    action: Callable[[argparse.Namespace], int],
    about: str,
    example: str,
    exit_codes: str = EXIT_CODES,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=about, description=about)
    end_with(parser, exit_codes, f"{NAME} {name} {example}".rstrip())
    parser.set_defaults(action=action)
    return parser


def _export(options: argparse.Namespace) -> int:
    from mergeit_ops.llm.settings import BATCH_FOLDER_VARIABLE

    if not options.config.is_file():
        raise DatasetError(f"There is no recipe {options.config}.")
    folder = options.folder.absolute()
    known = set(folder.glob("requests-*.jsonl"))
    command = [str(Path(sys.executable).with_name("dj-process")), "--config", str(options.config)]
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / _LOG
    say(f"Running {options.config}. Data-Juicer's log: {log}", flush=True)
    with log.open("wb") as lines:
        # A run that stops after writing its requests logs three tracebacks, which look like errors.
        environment = {**os.environ, BATCH_FOLDER_VARIABLE: str(folder)}
        done = subprocess.run(command, env=environment, stdout=lines, stderr=subprocess.STDOUT, check=False)
    new = sorted(set(folder.glob("requests-*.jsonl")) - known)
    for file in new:
        with file.open("rb") as lines:
            say(f"{file}: {many(sum(1 for _ in lines), 'request')}")
    if new:
        say("Run each file on a server, then read the responses: python -m mergeit_ops batch import RESPONSES")
        # A run with requests always stops with an error code, but the command has done its work.
        return 0
    if done.returncode == 0:
        say("The recipe is finished. It had no requests to write.")
    else:
        said = log.read_text(encoding="utf-8", errors="replace").split("\n")
        say(next((line for line in reversed(said) if line.strip()), "dj-process failed."), file=sys.stderr)
    return done.returncode


def _import(options: argparse.Namespace) -> int:
    from mergeit_ops.llm.batches.lines import read_results

    try:
        results = read_results(*(file.read_bytes() for file in options.files))
    except OSError as error:
        raise DatasetError(f"{error.filename} cannot be read ({error.strerror}).") from None
    if not results:
        raise DatasetError("These files contain no responses. Give the output files of run-batch.")
    with closing(_ledger(options)) as ledger:
        taken = ledger.store_results(results)
    for file, (requests, missing) in taken.items():
        without = f"; the next run sends the {many(missing, 'request')} without a response again" if missing else ""
        say(f"{file}: {many(requests - missing, 'response')} to {many(requests, 'request')}{without}")
    if not taken:
        say(
            "This journal has no batch under way with the requests of these responses. Give the cache_path of the "
            "recipe with --cache-path. Responses that were read before are not read again."
        )
        return 1
    say("Run the recipe again: it reads these responses.")
    return 0


def _list(options: argparse.Namespace) -> int:
    from mergeit_ops.llm.batches.ledger import BY_HAND

    with closing(_ledger(options)) as ledger:
        batches = ledger.open_batches()
    for batch in batches:
        name = batch.file if batch.state == BY_HAND else batch.batch_id
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(batch.created_at))
        say(f"{name or 'not submitted yet'}: {many(len(batch.keys), 'request')}, since {since}")
    if not batches:
        say("No batches are under way.")
    return 0


def _forget(options: argparse.Namespace) -> int:
    with closing(_ledger(options)) as ledger:
        path = str(Path(options.name).absolute())
        found = [batch for batch in ledger.open_batches() if batch.batch_id == options.name or batch.file == path]
        for batch in found:
            ledger.drop(batch.number)
            say(f"{options.name}: dropped; the next run sends its {many(len(batch.keys), 'request')} again.")
    if not found:
        raise DatasetError(f"No batch {options.name} is under way in this journal; `batch list` shows those that are.")
    return 0


def _ledger(options: argparse.Namespace) -> Ledger:
    from mergeit_ops.llm.batches.ledger import Ledger
    from mergeit_ops.llm.journal import default_cache_path, journal_file

    if options.cache_path == "":
        # This happens with an unset shell variable.
        raise DatasetError("--cache-path is empty: give the cache_path of a recipe, or leave the option out.")
    path = journal_file(options.cache_path) or default_cache_path()
    if not path.is_file():
        raise DatasetError(f"There is no journal {path}.")
    return Ledger(path)
