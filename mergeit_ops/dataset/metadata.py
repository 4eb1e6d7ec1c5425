"""The metadata of rows, which Data-Juicer keeps in the column `__dj__meta__`."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from mergeit_ops.core.columns import META
from mergeit_ops.dataset.tables import python_rows

__all__ = ["metas_of"]


def metas_of(table: pa.Table) -> list[dict[str, Any]]:
    """Return the metadata of each row; empty if it has none."""
    if META not in table.column_names:
        return [{} for _ in range(table.num_rows)]
    return [row[META] or {} for row in python_rows(table.select([META]))]
