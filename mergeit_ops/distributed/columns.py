"""Metadata, stats and batch metadata at Ray's boundary.

In default mode they are JSON columns. On Ray, Data-Juicer's operators read and write them as structs, so a table that
leaves one of our tasks carries structs with every field typed: left to infer them, Ray would take a field that is null
in one block for a column of nulls, and an empty struct cannot be written as parquet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pyarrow as pa

from mergeit_ops.core import lineage
from mergeit_ops.core.columns import BATCH_META, META, STATS
from mergeit_ops.dataset.tables import json_array, python_rows, set_column

_TEXTS = pa.list_(pa.string())

_FIELDS: Mapping[str, Mapping[str, pa.DataType]] = {
    META: {
        lineage.TOPIC_ID: pa.int64(),
        lineage.ROW_ID: pa.string(),
        lineage.ROW_ORDER: pa.int64(),
        lineage.GROUP_ID: pa.string(),
        lineage.STATUS: pa.string(),
        lineage.PARENTS: _TEXTS,
        lineage.PARENT_IDS: _TEXTS,
        lineage.CANDIDATES: _TEXTS,
        lineage.REJECTED: pa.string(),
        lineage.REJECTED_TEXT: pa.string(),
        lineage.SIMILARITY: pa.float64(),
        lineage.ERROR: pa.string(),
        lineage.MODEL: pa.string(),
        lineage.PROMPT_SHA256: pa.string(),
        lineage.HISTORY: _TEXTS,
    },
    STATS: {
        lineage.QUALITY_SCORE: pa.float64(),
        lineage.QUALITY_BEFORE: pa.float64(),
        lineage.QUALITY_AFTER: pa.float64(),
        lineage.QUALITY_RATIO: pa.float64(),
        lineage.PARENT_COVERAGE: pa.float64(),
        lineage.QUALITY_STATUS: pa.string(),
    },
    BATCH_META: {lineage.TOPIC_ID: pa.int64(), "batch_size": pa.int64()},
}


def with_structs(table: pa.Table, earlier: pa.Schema) -> pa.Table:
    """Return a table with its JSON columns as structs.

    :param table: what an operator made of some rows.
    :param earlier: columns of those rows as they came in: their metadata and stats keep the types they had.
    """
    for name, fields in _FIELDS.items():
        # Inside topics they have been structs since before the rows were grouped.
        if name not in table.column_names or pa.types.is_list(table.schema.field(name).type):
            continue
        before = earlier.field(name).type if name in earlier.names else pa.null()
        kept = {field.name: field.type for field in before} if pa.types.is_struct(before) else {}
        rows = [row[name] or {} for row in python_rows(table.select([name]))]
        others = {key for row in rows for key in row} - kept.keys() - fields.keys()
        # Metadata that came as JSON text have no types of their own.
        inferred = {key: pa.array([row.get(key) for row in rows]).type for key in sorted(others)}
        struct = pa.struct(list(({**inferred, **kept, **fields}).items()))
        table = set_column(table, name, pa.array(rows, type=struct))
    return table


def with_json(table: pa.Table) -> pa.Table:
    """Return a table with metadata that came as text as JSON.

    :param table: rows of a Ray block; those of a parquet export of the default executor have text.
    """
    for name in _FIELDS:
        if name in table.column_names and pa.types.is_string(table.schema.field(name).type):
            table = set_column(
                table, name, json_array(json.loads(text or "{}") for text in table.column(name).to_pylist())
            )
    return table
