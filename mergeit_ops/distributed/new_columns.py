"""Columns that an operator of ours adds in the middle of a recipe on Ray."""

from __future__ import annotations

import sys

__all__ = ["note_column"]


def note_column(name: str) -> None:
    """Tell Data-Juicer that the rows have a column from here on.

    It reads the columns of a Ray dataset once, at the start. Without this its next filter would add a second column of
    stats.

    :param name: of the column.
    """
    from data_juicer.core.data.ray_dataset import RayDataset

    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code is RayDataset._run_single_op.__code__:
            columns = frame.f_locals["cached_columns"]
            if columns is not None:
                columns.add(name)
            return
        frame = frame.f_back  # type: ignore[assignment]
