"""The number of rows in which a tag must occur."""

from __future__ import annotations

__all__ = ["least_count"]

_ROWS_PER_COUNT = 15_000


def least_count(rows: int, asked: int | None) -> int:
    """Return the number of rows in which a tag must occur to be kept.

    :param rows: rows of the dataset.
    :param asked: the recipe's value; None: one for every 15,000 rows, and at least 2. InsTag uses 20 for its 306,044
        rows.
    """
    return max(2, rows // _ROWS_PER_COUNT) if asked is None else asked
