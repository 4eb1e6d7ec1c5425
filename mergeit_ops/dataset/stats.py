"""The stats of rows, which Data-Juicer keeps in the column `__dj__stats__`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from mergeit_ops.core.columns import STATS
from mergeit_ops.core.rows import lineage
from mergeit_ops.dataset.tables import python_rows

__all__ = ["GATE_STATS", "stats_of"]

GATE_STATS: Mapping[str, pa.DataType] = {
    lineage.QUALITY_SCORE: pa.float64(),
    lineage.QUALITY_BEFORE: pa.float64(),
    lineage.QUALITY_AFTER: pa.float64(),
    lineage.QUALITY_RATIO: pa.float64(),
    lineage.PARENT_COVERAGE: pa.float64(),
    lineage.QUALITY_STATUS: pa.string(),
}
"""Keys of the stats that the quality gate writes."""


def stats_of(table: pa.Table) -> list[dict[str, Any]]:
    """Return the stats of each row, without nulls; empty if it has none.

    A stats column of structs has every key in every row, and a key with a null would make Data-Juicer's filters skip
    the row.
    """
    if STATS not in table.column_names:
        return [{} for _ in range(table.num_rows)]
    rows = python_rows(table.select([STATS]))
    return [{key: value for key, value in (row[STATS] or {}).items() if value is not None} for row in rows]
