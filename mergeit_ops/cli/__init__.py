"""Commands around Data-Juicer runs: check an installation, inspect finished runs, train a scorer or a student."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from mergeit_ops.cli import (
    batch,
    cache,
    check,
    compare,
    distill,
    export_sft,
    recipes,
    report,
    show,
    train_eval,
    verify,
    win_score,
)
from mergeit_ops.cli.epilogs import EXIT_CODES, INTERRUPTED, PROGRAM, end_with
from mergeit_ops.cli.terminal import Parser, say
from mergeit_ops.errors import MergeItError

_COMMANDS = (batch, cache, check, compare, distill, export_sft, recipes, report, show, train_eval, verify, win_score)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    :param arguments: command and options; None: the arguments of the process.
    :return: exit code; see `EXIT_CODES` here, or in the module of the command.
    """
    parser = Parser(prog=PROGRAM, description=__doc__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    end_with(parser, EXIT_CODES, f"{PROGRAM} check")
    for command in _COMMANDS:
        subparser = subparsers.add_parser(command.NAME, help=command.HELP, description=command.HELP)
        command.add_arguments(subparser)
        end_with(subparser, getattr(command, "EXIT_CODES", EXIT_CODES), *command.EXAMPLE)
        subparser.set_defaults(run=command.run)
    if not (sys.argv[1:] if arguments is None else arguments):
        # The message of the parser would not say which commands there are.
        parser.print_help(sys.stderr)
        return 2
    options = parser.parse_args(arguments)
    code = 0
    try:
        code = int(options.run(options))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has closed the pipe, as `head` does. Without this, flushing the buffer at exit would raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code
    except KeyboardInterrupt:
        say("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except MergeItError as error:
        say(f"error: {error}", file=sys.stderr)
        return 1
