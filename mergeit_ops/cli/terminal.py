"""Printing for all commands: text from rows, models and file names cannot control the terminal."""

from __future__ import annotations

import argparse
import json
import sys
from typing import IO, Any

from mergeit_ops.core.text.characters import UNSEEN, printable

__all__ = ["Parser", "as_json", "say"]


def say(text: str = "", *, file: IO[str] | None = None, end: str = "\n", flush: bool = False) -> None:
    """Print any text in the encoding of the stream.

    :param text: any text; see `printable`.
    :param file: output stream; None: standard output.
    :param end: text that follows.
    :param flush: whether to flush the stream.
    """
    stream = sys.stdout if file is None else file
    print(printable(text, _encoding(stream)), file=stream, end=end, flush=flush)


def as_json(value: Any, file: IO[str] | None = None, indent: int | None = None) -> str:
    """Return JSON that a stream can encode, with invisible characters escaped.

    :param value: a value that JSON can hold.
    :param file: output stream; None: standard output.
    :param indent: spaces of indentation for nested values; None: everything on one line.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    text = UNSEEN.sub(lambda found: _in_json(found[0]), text)
    try:
        text.encode(_encoding(sys.stdout if file is None else file))
    except UnicodeEncodeError:
        # The escapes of `printable` are not valid in JSON.
        return json.dumps(value, indent=indent).replace("\x7f", "\\u007f")
    return text


def _in_json(character: str) -> str:
    # The json module does not escape DEL. It writes characters beyond four digits as surrogate pairs.
    return f"\\u{ord(character):04x}" if ord(character) <= 0xFFFF else json.dumps(character)[1:-1]


class _Paragraphs(argparse.HelpFormatter):
    """Fills each paragraph separately, and keeps indented lines as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(
            part if "\n  " in part else super(_Paragraphs, self)._fill_text(part, width, indent)
            for part in text.split("\n\n")
        )


class Parser(argparse.ArgumentParser):
    """An argument parser that prints with `say`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", _Paragraphs)
        super().__init__(*args, **kwargs)

    def _print_message(self, message: str, file: Any = None) -> None:
        if message:
            say(message, file=sys.stderr if file is None else file, end="")


def _encoding(stream: IO[str]) -> str:
    return getattr(stream, "encoding", None) or "utf-8"
