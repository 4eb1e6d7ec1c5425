"""Rows that several selectors are tried on."""

import pytest

from mergeit_ops.core.columns import STATS


@pytest.fixture(scope="module")
def scored_rows(embedded_rows):
    """Rows with a stat that rises with their place in the file, null in every seventh row."""
    return [
        row | {STATS: {"quality_score": None if place % 7 == 3 else float(place % 50)}, "votes": place % 5}
        for place, row in enumerate(embedded_rows)
    ]
