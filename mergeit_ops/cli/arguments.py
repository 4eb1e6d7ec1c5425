"""What several commands ask of their arguments."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from mergeit_ops.errors import DatasetError, MissingDependencyError

__all__ = ["html_file", "needs", "seed", "whole_number", "write_page"]

_LARGEST_SEED = 2**32 - 1


def whole_number(text: str) -> int:
    """Return an argument as a number of at least 0."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 0, got {text}")
    return int(text)


def seed(text: str) -> int:
    """Return an argument as a seed: what NumPy and scikit-learn both take."""
    number = whole_number(text)
    if number > _LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {_LARGEST_SEED}, got {text}")
    return number


def html_file(path: Path) -> None:
    """Check that a page may be written to a path, before the work.

    :param path: given as `--output`.
    :raises DatasetError: if it is a folder, or a file that is no page.
    """
    if path.is_dir():
        raise DatasetError(f"--output must be a file to write; '{path}' is a folder.")
    if path.exists() and path.suffix.lower() not in (".html", ".htm"):
        # A slip of the arguments must not cost a dataset.
        raise DatasetError(f"--output: '{path}' is there and is no .html file; name another.")


def needs(command: str, *packages: str) -> None:
    """Check that packages are installed, before the work: without them it should not cost minutes.

    :param command: that needs them.
    :param packages: to import.
    :raises MissingDependencyError: naming the first that is missing.
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

    :param path: given as `--output`.
    :param html: the page.
    :return: bytes.
    :raises DatasetError: if it cannot be written.
    """
    content = html.encode("utf-8")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise DatasetError(f"--output: '{path}' cannot be written ({error}).") from error
    return len(content)
