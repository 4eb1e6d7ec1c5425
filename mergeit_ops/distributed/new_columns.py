"""Columns that one of our operators adds or removes in the middle of a recipe on Ray."""

from __future__ import annotations

import sys

__all__ = ["forget_column", "note_column"]


def note_column(name: str) -> None:
    """Tell Data-Juicer that the rows have a column from here on.

    Data-Juicer reads the columns of a Ray dataset once, at the start. Without this call, its next filter would add a
    second column of stats.

    :param name: name of the column.
    """
    columns = _known_columns()
    if columns is not None:
        columns.add(name)


def forget_column(name: str) -> None:
    """Tell Data-Juicer that the rows no longer have a column; see `note_column`.

    Without this call, Data-Juicer's next filter would look for stats that do not exist.

    :param name: name of the column.
    """
    columns = _known_columns()
    if columns is not None:
        columns.discard(name)


def _known_columns() -> set[str] | None:
    """Return Data-Juicer's set of columns for the running operator; None if no operator is running."""
    from data_juicer.core.data.ray_dataset import RayDataset

    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code is RayDataset._run_single_op.__code__:
            columns: set[str] | None = frame.f_locals["cached_columns"]
            return columns
        frame = frame.f_back  # type: ignore[assignment]
    return None
