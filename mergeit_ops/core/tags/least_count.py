"""How many rows a tag must be in."""

from __future__ import annotations

__all__ = ["least_count"]

_ROWS_PER_COUNT = 15_000


def least_count(rows: int, asked: int | None) -> int:
    """Return in how many rows a tag must be to be kept.

    :param rows: rows of the dataset.
    :param asked: what the recipe says; None: one for every 15,000 rows, as InsTag keeps tags of 20 among its 306,044
        rows, and at least 2.
    """
    return max(2, rows // _ROWS_PER_COUNT) if asked is None else asked
