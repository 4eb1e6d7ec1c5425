"""The ids of rows: those that they bring, or a hash of their content with an ordinal for duplicates."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa

from mergeit_ops.core.columns import ROW_ID, is_content
from mergeit_ops.core.rows.identity import content_digests, number_duplicates
from mergeit_ops.dataset.tables import python_columns
from mergeit_ops.errors import DatasetError

__all__ = ["ids_not_unique", "row_ids"]


def row_ids(table: pa.Table, seen: Counter[str], operator: str) -> list[str]:
    """Return the ids of a table's rows: those that it brings, or new ones.

    :param table: flat rows.
    :param seen: how often each digest or id occurred in earlier tables of the dataset; updated.
    :param operator: registry name of the operator that asks.
    :raises DatasetError: if the ids that it brings are not unique texts.
    """
    if ROW_ID in table.column_names:
        ids: list[Any] = table.column(ROW_ID).to_pylist()
        seen.update(ids)
        if any(not isinstance(row_id, str) or seen[row_id] > 1 for row_id in ids):
            raise ids_not_unique(operator)
        return ids
    content = [name for name in table.column_names if is_content(name)]
    # Columns that do not count are not read, because embeddings are most of a row.
    return number_duplicates(content_digests(python_columns(table.select(content)), len(table)), seen)


def ids_not_unique(operator: str) -> DatasetError:
    """Return the error for a dataset whose own ids are not unique.

    :param operator: registry name of the operator that found it.
    """
    return DatasetError(
        f"{operator}: the column '{ROW_ID}' must hold a different text in every row; remove the column to give "
        "the rows new ids."
    )
