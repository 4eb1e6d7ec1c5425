"""The end of the help of every command: its exit codes and an example."""

from __future__ import annotations

import argparse

__all__ = ["EXIT_CODES", "INTERRUPTED", "PROGRAM", "end_with"]

PROGRAM = "python -m mergeit_ops"

INTERRUPTED = 130
"""128 plus the number of SIGINT, as in shells."""

EXIT_CODES = (
    "0: done; 1: not done, and standard error says why in one sentence; 2: the arguments are wrong; 130: interrupted."
)


def end_with(parser: argparse.ArgumentParser, exit_codes: str, *example: str) -> None:
    """Add exit codes and an example to the help of a command.

    :param parser: parser of the command; its own epilog comes first.
    :param exit_codes: meaning of each exit code.
    :param example: shell lines. The program is put before lines that begin with the name of the command.
    """
    name = parser.prog.removeprefix(PROGRAM).split()[:1]
    lines = [f"  {PROGRAM} {line}" if line.split()[:1] == name else f"  {line}" for line in example]
    parts = [parser.epilog, f"Exit code: {exit_codes}", "\n".join(["Example:", *lines])]
    parser.epilog = "\n\n".join(filter(None, parts))
