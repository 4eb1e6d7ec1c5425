"""Metadata, stats and batch metadata at Ray's boundary.

In default mode they are JSON columns. On Ray, Data-Juicer's operators read and write them as structs. So our tasks
return structs in which every field has a type. If Ray inferred the types, a field that is null in a whole block would
get the type null there, and metadata without keys would be an empty struct, which parquet cannot store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from mergeit_ops.core.columns import BATCH_META, META, STATS
from mergeit_ops.core.rows import lineage, rewrites, sources
from mergeit_ops.dataset.stats import GATE_STATS
from mergeit_ops.dataset.tables import dump_json, json_array, python_rows, set_column

_TEXTS = pa.list_(pa.string())

_OF_NEW_TEXTS: Mapping[str, pa.DataType] = {
    key: pa.int64() if key == rewrites.NODES_ADDED else pa.string() for key in (*rewrites.KEYS, *sources.KEYS)
}

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
        lineage.PARENT_KEPT: pa.list_(pa.float64()),
        lineage.PARENT_WEAKEST: _TEXTS,
        lineage.HISTORY: _TEXTS,
    },
    STATS: GATE_STATS,
    BATCH_META: {lineage.TOPIC_ID: pa.int64(), "batch_size": pa.int64()},
}


def with_structs(table: pa.Table, earlier: pa.Schema, stats: Mapping[str, pa.DataType] | None = None) -> pa.Table:
    """Return a table in which the JSON columns that our operators write have become structs.

    :param table: output of an operator.
    :param earlier: schema of the operator's input. The fields of its metadata and stats keep their types.
    :param stats: types of the stats that the operator writes; None: those of the gate.
    """
    for name, known in _FIELDS.items():
        fields = stats if name == STATS and stats is not None else known
        if name not in table.column_names or not isinstance(table.schema.field(name).type, pa.JsonType):
            continue
        kept = _fields_of(earlier, name)
        rows = [row[name] or {} for row in python_rows(table.select([name]))]
        keys = {key for row in rows for key in row}
        # A block with one of the merger's keys gets all of them, so that all blocks have the same fields.
        ours = fields if name != META or lineage.STATUS in keys else {key: fields[key] for key in fields.keys() & keys}
        types: dict[str, pa.DataType | None] = dict.fromkeys(sorted(keys))
        types |= {**kept, **ours}
        if name == META:
            types |= {key: _OF_NEW_TEXTS[key] for key in _OF_NEW_TEXTS.keys() & types.keys()}
        table = set_column(table, name, _structs(rows, types))
    return table


def _fields_of(schema: pa.Schema, name: str) -> dict[str, pa.DataType]:
    """Return the types of the fields of a struct column; none if the column is not a struct."""
    kind = schema.field(name).type if name in schema.names else pa.null()
    return {field.name: field.type for field in kind} if pa.types.is_struct(kind) else {}


def _structs(rows: Sequence[Mapping[str, Any]], types: Mapping[str, pa.DataType | None]) -> pa.Array[Any]:
    columns = {key: _column([row.get(key) for row in rows], kind) for key, kind in types.items()}
    fields = [pa.field(key, column.type) for key, column in columns.items()]
    # A struct array takes its length from its fields, and here there are none.
    if not columns:
        return pa.array([{}] * len(rows), type=pa.struct([]))
    return pa.StructArray.from_arrays(list(columns.values()), fields=fields)


def _column(values: list[Any], kind: pa.DataType | None) -> pa.Array[Any]:
    """Return values of metadata as a column. None: the type is unknown and follows from the values."""
    if kind is not None:
        return pa.array(values, type=kind)
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else dump_json(value) for value in values], type=pa.string())


def with_json(table: pa.Table) -> pa.Table:
    """Return a table in which metadata that was stored as text is JSON.

    :param table: rows of a Ray block. A parquet export of the default executor stores metadata as text.
    """
    for name in _FIELDS:
        if name not in table.column_names:
            continue
        kind = table.schema.field(name).type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            table = set_column(
                table, name, json_array(json.loads(text or "{}") for text in table.column(name).to_pylist())
            )
    return table


def alike(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with the common columns and types of all blocks. Columns that it lacks become null.

    :param table: rows of one block.
    :param schema: common columns and types of all blocks.
    :raises pyarrow.ArrowInvalid: if a value would change in the common type.
    """
    return pa.concat_tables([schema.empty_table(), table], promote_options="permissive").select(schema.names)


def without_others_stats(table: pa.Table) -> pa.Table:
    """Return rows of the merger without the stats that later filters have written.

    A restored row has no such stats. In a struct it would have nulls instead, and these filters fail on nulls if the
    recipe uses them again.

    :param table: rows of a Ray block. Rows that do not come from the merger stay as they are.
    """
    if STATS not in table.column_names or META not in table.column_names:
        return table
    meta, stats = (table.schema.field(name).type for name in (META, STATS))
    from_merger = not pa.types.is_struct(meta) or meta.get_field_index(lineage.STATUS) >= 0
    if not from_merger or not pa.types.is_struct(stats):
        return table
    return set_column(table, STATS, json_array({} for _ in range(table.num_rows)))
