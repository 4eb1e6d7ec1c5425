"""The texts of a target: the rows or lines of a user's file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mergeit_ops.core.text.counts import many
from mergeit_ops.dataset.sample_files import read_samples
from mergeit_ops.errors import DatasetError

__all__ = ["read_target"]


def read_target(path: Path, layout: Mapping[str, Any]) -> tuple[list[str], int]:
    """Read the texts of a target: the instruction and input of a row, or all user turns of a conversation.

    :param path: see `read_samples`.
    :param layout: see `read_samples`.
    :return: the texts that are not blank, and the number of rows without one.
    :raises DatasetError: if the file does not exist, cannot be read, or has no text.
    """
    texts = [found.sample.query for found in read_samples(path, layout)]
    found = [text for text in texts if text.strip()]
    if not found:
        what = f"none of its {many(len(texts), 'row')} has a text that can be read" if texts else "it is empty"
        raise DatasetError(f"{path} has no texts: {what}")
    return found, len(texts) - len(found)
