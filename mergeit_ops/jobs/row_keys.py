"""Keys that identify rows: a hash of the content, or a value with the text of the sample."""

from __future__ import annotations

import pyarrow as pa

from mergeit_ops.core.columns import ROW_ID, is_content
from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.rows.identity import content_digests
from mergeit_ops.dataset.columns_at_risk import value_and_sample
from mergeit_ops.dataset.tables import python_columns

__all__ = ["content_keys", "identity_keys", "values_and_samples"]


def content_keys(table: pa.Table) -> tuple[None, list[str]]:
    """Return a hash of the content of each row.

    :param table: flat rows.
    """
    content = table.select([name for name in table.column_names if is_content(name)])
    return None, content_digests(python_columns(content), table.num_rows)


def identity_keys(table: pa.Table) -> tuple[None, list[str]]:
    """Return the ids that rows bring, or a hash of the content of each row.

    :param table: flat rows.
    """
    if ROW_ID in table.column_names:
        return None, [str(row_id) for row_id in table.column(ROW_ID).to_pylist()]
    return content_keys(table)


def values_and_samples(table: pa.Table, column: str, layout: SampleFormat) -> tuple[None, list[tuple[str, str]]]:
    """Return the value of a column and the text of the sample for each row; see `value_and_sample`."""
    return None, value_and_sample(table, column, layout)
