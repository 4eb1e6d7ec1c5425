"""What decides about each row: a hash of what it holds, or the value of a field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from mergeit_ops.core.columns import is_content
from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.rows.identity import content_digests
from mergeit_ops.dataset.columns_at_risk import value_and_sample
from mergeit_ops.dataset.tables import python_columns, python_rows

__all__ = ["content_keys", "field_values", "values_and_samples"]


def content_keys(table: pa.Table) -> tuple[None, list[str]]:
    """Tell a hash of what each row holds.

    :param table: flat rows.
    """
    content = table.select([name for name in table.column_names if is_content(name)])
    return None, content_digests(python_columns(content), table.num_rows)


def values_and_samples(table: pa.Table, column: str, layout: SampleFormat) -> tuple[None, list[tuple[str, str]]]:
    """Tell the value of a column and the text of the sample for each row; see `value_and_sample`."""
    return None, value_and_sample(table, column, layout)


def field_values(table: pa.Table, column: str, path: Sequence[str]) -> tuple[None, list[Any]]:
    """Tell the value of a field of each row; None where there is none.

    :param table: flat rows.
    :param column: the column.
    :param path: keys inside its values.
    """
    values = [row[column] for row in python_rows(table.select([column]))]
    for key in path:
        values = [value.get(key) if isinstance(value, dict) else None for value in values]
    return None, values
