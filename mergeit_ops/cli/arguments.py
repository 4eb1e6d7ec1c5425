"""Argument types and checks that several commands share."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from mergeit_ops.errors import DatasetError, MissingDependencyError

__all__ = ["html_file", "needs", "seed", "whole_number", "write_page"]

_LARGEST_SEED = 2**32 - 1


def whole_number(text: str) -> int:
    """Parse an integer of at least 0."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 0, got {text}")
    return int(text)


def seed(text: str) -> int:
    """Parse a seed in the range that NumPy and scikit-learn accept."""
    number = whole_number(text)
    if number > _LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {_LARGEST_SEED}, got {text}")
    return number


def html_file(path: Path) -> None:
    """Check before the work that a page may be written to a path.

    :param path: value of `--output`.
    :raises DatasetError: if it is a folder, or an existing file that is not an HTML file.
    """
    if path.is_dir():
        raise DatasetError(f"--output must be a file to write; '{path}' is a folder.")
    if path.exists() and path.suffix.lower() not in (".html", ".htm"):
        # A mistake in the arguments must not overwrite a dataset.
        raise DatasetError(f"--output: '{path}' exists and is not an .html file; name another file.")


def needs(command: str, *packages: str) -> None:
    """Check before the work that packages are installed.

    :param command: command that needs them.
    :param packages: names to import.
    :raises MissingDependencyError: if a package is missing; the message names the first one.
    """
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MissingDependencyError(
                f"{command} needs the package {error.name}, which is not installed: pip install {error.name}"
            ) from error


def write_page(path: Path, html: str) -> int:
    """Write a page and return its size.

    :param path: value of `--output`.
    :param html: the page.
    :return: size in bytes.
    :raises DatasetError: if it cannot be written.
    """
    content = html.encode("utf-8")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise DatasetError(f"--output: '{path}' cannot be written ({error}).") from error
    return len(content)
