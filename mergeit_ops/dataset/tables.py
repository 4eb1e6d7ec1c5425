"""Between Data-Juicer's datasets, Arrow tables and Python rows.

Operators write Arrow with an explicit schema: left to infer one from a first batch that is all null, Hugging Face
datasets fixes the wrong type and later batches abort the run. Metadata and stats are JSON columns, the type that
Data-Juicer's own operators create for them: a struct column with nulls aborts once a later filter adds its key.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from datasets import Dataset, Features, Json, Value
from datasets.arrow_writer import ArrowWriter
from datasets.fingerprint import get_temporary_cache_files_directory

READ_ROWS = 2_000
"""Rows read at a time: a few MB of text."""

TEXT = Value("string")
JSON = Json()


def iter_tables(dataset: Dataset, columns: Sequence[str] | None = None, rows: int = READ_ROWS) -> Iterator[pa.Table]:
    """Yield a dataset as Arrow tables, in order.

    :param dataset: any map-style dataset.
    :param columns: columns to read; None for all.
    :param rows: rows in a table at most.
    """
    chosen = dataset if columns is None else dataset.select_columns(list(columns))
    yield from chosen.with_format("arrow").iter(rows)


class TableSink:
    """Collects tables into a dataset that lives on disk, memory-mapped, until the process ends.

    :param features: the dataset's columns and types.
    """

    def __init__(self, features: Features) -> None:
        self.features = features
        self._path = os.path.join(get_temporary_cache_files_directory(), f"mergeit-{uuid.uuid4().hex}.arrow")
        self._writer = ArrowWriter(features=features, path=self._path)
        # Without a first table the writer would leave a file without a schema.
        self.write(pa.table({name: arrow_array([], feature_type(feature)) for name, feature in features.items()}))

    def write(self, table: pa.Table) -> None:
        """Append a table; its columns may come in any order and are cast to the sink's types."""
        self._writer.write_table(table.select(list(self.features)))

    def finish(self) -> Dataset:
        """Close the file and return the dataset, as Data-Juicer's own class."""
        from data_juicer.core.data import NestedDataset

        self._writer.finalize()
        return NestedDataset(Dataset.from_file(self._path))


def feature_type(feature: Any) -> pa.DataType:
    """Return the Arrow type of a column of a dataset."""
    return Features({"column": feature}).arrow_schema.field("column").type


def write_dataset(tables: Iterable[pa.Table], features: Features) -> Dataset:
    """Return tables as one dataset.

    :param tables: tables that hold all columns of `features`.
    :param features: the dataset's columns and types.
    """
    sink = TableSink(features)
    for table in tables:
        sink.write(table)
    return sink.finish()


def python_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return a table as Python rows, JSON columns parsed."""
    columns = {name: _python_values(table.column(name)) for name in table.column_names}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _python_values(column: pa.ChunkedArray) -> list[Any]:
    decode = _nested(column.type, json.loads)
    values = column.to_pylist()
    return values if decode is None else [decode(value) for value in values]


def arrow_array(values: Sequence[Any], arrow_type: pa.DataType) -> pa.Array:
    """Return Python values as an Arrow array of a given type, JSON values serialised.

    :param values: n values; None for null.
    :param arrow_type: type of the array.
    :raises pa.ArrowInvalid, pa.ArrowTypeError: if a value does not fit the type.
    """
    encode = _nested(arrow_type, dump_json)
    if encode is None:
        return pa.array(values, type=arrow_type)
    # Arrow builds JSON arrays only at the top level; inside lists and structs a cast from text does it.
    return pa.array([encode(value) for value in values], type=_as_stored(arrow_type)).cast(arrow_type)


def json_array(values: Iterable[Mapping[str, Any]]) -> pa.Array:
    """Return mappings as an Arrow array of JSON."""
    return pa.array([dump_json(value) for value in values], type=pa.json_())


def dump_json(value: Any) -> str:
    """Return a value as compact JSON; a float that JSON cannot write is an error, not `NaN`."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def loses_nanoseconds(arrow_type: pa.DataType) -> bool:
    """Tell whether Python values of a type are coarser than the type: Python's times of day stop at microseconds."""
    if pa.types.is_nested(arrow_type):
        return any(loses_nanoseconds(arrow_type.field(number).type) for number in range(arrow_type.num_fields))
    return pa.types.is_time64(arrow_type) and arrow_type.unit == "ns"


def set_column(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    """Return the table with a column replaced where it stands, or added at the end."""
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, values)
    return table.append_column(name, values)


def _as_stored(arrow_type: pa.DataType) -> pa.DataType:
    """Return the type with every JSON type in it replaced by the text type that stores it."""
    if isinstance(arrow_type, pa.JsonType):
        return arrow_type.storage_type
    if pa.types.is_list(arrow_type):
        return pa.list_(_as_stored(arrow_type.value_type))
    if pa.types.is_large_list(arrow_type):
        return pa.large_list(_as_stored(arrow_type.value_type))
    if pa.types.is_struct(arrow_type):
        return pa.struct([pa.field(field.name, _as_stored(field.type)) for field in arrow_type])
    return arrow_type


def _nested(arrow_type: pa.DataType, convert: Callable[[Any], Any]) -> Callable[[Any], Any] | None:
    """Return a function that converts every JSON value inside a value of the type; None where there is none."""
    if isinstance(arrow_type, pa.JsonType):
        return lambda value: None if value is None else convert(value)
    if pa.types.is_list(arrow_type) or pa.types.is_large_list(arrow_type) or pa.types.is_fixed_size_list(arrow_type):
        item = _nested(arrow_type.value_type, convert)
        return item and (lambda values: None if values is None else [item(value) for value in values])
    if pa.types.is_struct(arrow_type):
        fields = {field.name: _nested(field.type, convert) for field in arrow_type}
        inner = {name: function for name, function in fields.items() if function}
        if not inner:
            return None
        return lambda value: (
            None if value is None else value | {name: function(value.get(name)) for name, function in inner.items()}
        )
    return None
