"""The texts of a target: rows of a file of the user's, or its lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mergeit_ops.dataset.sample_files import read_samples
from mergeit_ops.errors import DatasetError

__all__ = ["read_target"]


def read_target(path: Path, layout: Mapping[str, Any]) -> tuple[list[str], int]:
    """Read the texts of a target: of rows the instruction and the input, of a conversation all user turns.

    :param path: see `read_samples`.
    :param layout: see `read_samples`.
    :return: the texts that are not blank, and the number of rows without one.
    :raises DatasetError: if there is no such file, it cannot be read, or it has no text.
    """
    texts = [found.sample.query for found in read_samples(path, layout)]
    found = [text for text in texts if text.strip()]
    if not found:
        what = f"none of its {len(texts):,} rows has a text that can be read" if texts else "it is empty"
        raise DatasetError(f"{path} has no texts: {what}")
    return found, len(texts) - len(found)
