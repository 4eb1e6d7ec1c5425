"""Convert between Data-Juicer's datasets, Arrow tables and Python rows.

Operators write Arrow with an explicit schema. Without one, Hugging Face datasets infers a wrong type from a first batch
of nulls, and later batches abort the run. Metadata and stats are JSON columns, like those that Data-Juicer's own
operators create, because with a struct column that has nulls the run aborts when a later filter adds a key.
"""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features, Json, Value
from datasets.arrow_writer import ArrowWriter
from datasets.fingerprint import get_temporary_cache_files_directory
from numpy.typing import NDArray

from mergeit_ops.core.disk import unwritable
from mergeit_ops.dataset.page_cache import release_pages
from mergeit_ops.errors import DiskError

READ_ROWS = 2_000
"""Rows that are read at a time; they hold a few MB of text."""

_HELD_BYTES = 2**28
_SMALL_ROWS = 256
_SMALL_BYTES = 2**22
_READ_AROUND_BYTES = 2**16  # bytes that the system maps around a single row

TEXT = Value("string")
JSON = Json()


def iter_tables(dataset: Dataset, columns: Sequence[str] | None = None, rows: int = READ_ROWS) -> Iterator[pa.Table]:
    """Yield a dataset as Arrow tables, in order, with at most a few hundred MB of its files in memory.

    :param dataset: any map-style dataset.
    :param columns: columns to read; None for all.
    :param rows: most rows of a table.
    """
    reader = RowReader(dataset, columns)
    for first in range(0, len(dataset), rows):
        yield reader.slice(first, min(rows, len(dataset) - first))


class RowReader:
    """Reads rows of a dataset by position, as Arrow.

    If rows are reordered or filtered, datasets makes one slice per row, which takes longer than the work on the rows.
    It also never releases the pages that it has read.

    :param dataset: any map-style dataset.
    :param columns: columns to read; None for all.

    `row_bytes` is the average size of a stored row.
    """

    def __init__(self, dataset: Dataset, columns: Sequence[str] | None = None) -> None:
        self._dataset = dataset
        data = dataset.data.table
        self._table: pa.Table = data if columns is None else data.select(list(columns))
        indices = dataset._indices
        self._positions = None if indices is None else indices.column(0).to_numpy().astype(np.int64)
        self.row_bytes = self._table.nbytes / max(1, self._table.num_rows)
        self._bytes_read = 0.0

    @cached_property
    def _batches(self) -> list[pa.RecordBatch]:
        return [batch for batch in self._table.to_batches() if batch.num_rows]

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.cumsum([0, *(batch.num_rows for batch in self._batches)])

    def slice(self, first: int, length: int) -> pa.Table:
        """Return `length` rows, starting at `first`."""
        if self._positions is None:
            self._note(length)
            return self._table.slice(first, length)
        stored = self._positions[first : first + length]
        if length and (np.diff(stored) == 1).all():
            self._note(length)
            return self._table.slice(int(stored[0]), length)
        return self._gather(stored)

    def take(self, rows: NDArray[np.int64]) -> pa.Table:
        """Return a copy of the rows at the given positions, in that order."""
        return self._gather(rows if self._positions is None else self._positions[rows])

    def _gather(self, stored: NDArray[np.int64]) -> pa.Table:
        if not len(stored):
            return self._table.slice(0, 0)
        order = np.argsort(stored, kind="stable")
        ascending = stored[order]
        batch_of = np.searchsorted(self._starts, ascending, side="right") - 1
        bounds = np.flatnonzero(np.diff(batch_of, prepend=-1, append=len(self._batches)))
        parts = []
        # Batch by batch, because one take over a whole column of long texts would overflow Arrow's 32-bit offsets.
        for low, high in pairwise(bounds.tolist()):
            batch, start = self._batches[batch_of[low]], self._starts[batch_of[low]]
            parts.append(batch.take(pa.array(ascending[low:high] - start, pa.int64())))
            self._note(high - low, _READ_AROUND_BYTES)
        gathered = pa.Table.from_batches(parts)
        if (order[1:] > order[:-1]).all():
            return gathered
        return gathered.take(pa.array(np.argsort(order, kind="stable"), pa.int64()))

    def _note(self, rows: int, extra: int = 0) -> None:
        """Release the pages read when there are many. Those of the latest table are read again if needed."""
        self._bytes_read += rows * (self.row_bytes + extra)
        if self._bytes_read > _HELD_BYTES:
            release_pages(self._dataset)
            self._bytes_read = 0.0


class TableSink:
    """Collects tables into a memory-mapped dataset on disk, which exists until the process ends.

    :param features: the dataset's columns and types.
    """

    def __init__(self, features: Features) -> None:
        self.features = features
        self._names = list(features)
        self._small: list[pa.Table] = []
        self._small_rows = self._small_bytes = 0
        self._folder = tempfile.gettempdir()
        with self._on_disk():
            self._path = os.path.join(get_temporary_cache_files_directory(), f"mergeit-{uuid.uuid4().hex}.arrow")
            self._folder = os.path.dirname(self._path)
            self._writer = ArrowWriter(features=features, path=self._path)
        # Without a first table the writer would leave a file without a schema.
        self.write(pa.table({name: arrow_array([], feature_type(feature)) for name, feature in features.items()}))

    def write(self, table: pa.Table) -> None:
        """Append a table; its columns may come in any order and are cast to the sink's types.

        Small tables are collected and written together.

        :raises DiskError: if there is no room for them.
        """
        table = table.select(self._names)
        if self._small and table.schema != self._small[0].schema:
            self._write_small()
        self._small.append(table)
        self._small_rows += table.num_rows
        self._small_bytes += table.nbytes
        if self._small_rows >= _SMALL_ROWS or self._small_bytes >= _SMALL_BYTES:
            self._write_small()

    def _write_small(self) -> None:
        if self._small:
            with self._on_disk():
                self._writer.write_table(pa.concat_tables(self._small))
        self._small, self._small_rows, self._small_bytes = [], 0, 0

    def finish(self) -> Dataset:
        """Close the file and return the dataset, as Data-Juicer's own class.

        :raises DiskError: if there is no room for the last rows.
        """
        from data_juicer.core.data import NestedDataset

        self._write_small()
        with self._on_disk():
            self._writer.finalize()
        return NestedDataset(Dataset.from_file(self._path))

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DiskError(
                "Rows between two operators are written to temporary files, but "
                + unwritable(error, self._folder, "set the environment variable TMPDIR to another folder")
            ) from None


class TableList:
    """Collects tables in memory: the rows of one block of a Ray dataset."""

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []

    def write(self, table: pa.Table) -> None:
        """Append a table; a column of nulls takes its type from the other tables."""
        self._tables.append(table)

    def table(self) -> pa.Table:
        """Return all rows; at least one table must have been written."""
        return pa.concat_tables(self._tables, promote_options="default")


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


def rows_of_dataset(dataset: Dataset, rows: NDArray[np.int64], columns: Sequence[str]) -> Dataset:
    """Return a copy of some rows of a dataset. Without a copy, rows of a large file would always be read one by one.

    :param dataset: any map-style dataset.
    :param rows: positions of the rows.
    :param columns: columns to keep.
    """
    reader = RowReader(dataset, columns)
    return write_dataset(
        (reader.take(rows[first : first + READ_ROWS]) for first in range(0, len(rows), READ_ROWS)),
        Features({name: dataset.features[name] for name in columns}),
    )


def python_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return a table as Python rows, with JSON columns parsed."""
    columns = python_columns(table)
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def python_columns(table: pa.Table) -> dict[str, list[Any]]:
    """Return a table as lists of Python values by column, with JSON columns parsed."""
    return {name: _python_values(table.column(name)) for name in table.column_names}


def _python_values(column: pa.ChunkedArray[Any]) -> list[Any]:
    decode = _nested(column.type, _parsed)
    values = column.to_pylist()
    return values if decode is None else [decode(value) for value in values]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        # Hugging Face's loader stores a text that looks like a number, such as "50.", unchanged.
        return text


def arrow_array(values: Sequence[Any], arrow_type: pa.DataType) -> pa.Array[Any]:
    """Return Python values as an Arrow array of a given type, with JSON values serialised.

    :param values: n values; None for null.
    :param arrow_type: type of the array.
    :raises pa.ArrowInvalid, pa.ArrowTypeError: if a value does not fit the type.
    """
    encode = _nested(arrow_type, dump_json)
    if encode is None:
        return pa.array(values, type=arrow_type)
    # Arrow builds JSON arrays only at the top level; inside lists and structs a cast from text does it.
    return pa.array([encode(value) for value in values], type=_as_stored(arrow_type)).cast(arrow_type)


def json_array(values: Iterable[Mapping[str, Any]]) -> pa.Array[Any]:
    """Return mappings as an Arrow array of JSON."""
    return pa.array([dump_json(value) for value in values], type=pa.json_())


def dump_json(value: Any) -> str:
    """Return a value as compact JSON; a float that JSON cannot represent raises an error instead of becoming `NaN`."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def loses_nanoseconds(arrow_type: pa.DataType) -> bool:
    """Return whether Python values of a type are coarser than the type: Python's times of day stop at microseconds."""
    if pa.types.is_nested(arrow_type):
        return any(loses_nanoseconds(arrow_type.field(number).type) for number in range(arrow_type.num_fields))
    return pa.types.is_time64(arrow_type) and arrow_type.unit == "ns"


def inexact_columns(schema: pa.Schema) -> frozenset[str]:
    """Return the columns that some form of export does not preserve exactly.

    JSON rounds numbers with a fraction, writes integers next to nulls as integers, and times as text.
    """
    return frozenset(field.name for field in schema if not _is_exact(field.type))


def _is_exact(arrow_type: pa.DataType) -> bool:
    if pa.types.is_nested(arrow_type):
        parts = [arrow_type.field(number).type for number in range(arrow_type.num_fields)]
        return not (pa.types.is_map(arrow_type) or pa.types.is_union(arrow_type)) and all(map(_is_exact, parts))
    of_type = (pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean, pa.types.is_null)
    return any(is_one(arrow_type) for is_one in of_type)


def set_column(table: pa.Table, name: str, values: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Table:
    """Return the table with a column replaced in its place, or added at the end."""
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, values)
    return table.append_column(name, values)


def _as_stored(arrow_type: pa.DataType) -> pa.DataType:
    """Return the type, with every JSON type inside replaced by the text type that stores it."""
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
    """Return a function that converts every JSON value inside a value of the type; None if the type has no JSON
    inside."""
    if isinstance(arrow_type, pa.JsonType):
        return lambda value: None if value is None else convert(value)
    if not arrow_type.num_fields:
        return None
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
