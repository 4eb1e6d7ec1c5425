"""The common columns and types of the blocks of a Ray dataset."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from mergeit_ops.errors import DatasetError

__all__ = ["common_schema"]


def common_schema(schemas: Sequence[pa.Schema], operator: str) -> pa.Schema:
    """Return the union of the columns of some tables, with common types; missing columns become null.

    Types are widened if no value changes: null to any other, a whole number to a longer one or to a float, a
    struct to one with more fields.

    :param schemas: of the tables.
    :param operator: registry name, for the message.
    :raises DatasetError: if a column has incompatible types.
    """
    try:
        return pa.unify_schemas(list(schemas), promote_options="permissive")
    except pa.ArrowException:
        pass
    for name in dict.fromkeys(name for schema in schemas for name in schema.names):
        kinds = list(dict.fromkeys(schema.field(name).type for schema in schemas if name in schema.names))
        other = next((kind for kind in kinds[1:] if not _fit(kinds[0], kind)), None)
        if other is not None:
            raise DatasetError(different_types(operator, name, kinds[0], other))
    raise DatasetError(
        f"{operator}: the files of the dataset have columns of different types; use one type in all files."
    )


def different_types(operator: str, column: str, first: pa.DataType, second: pa.DataType) -> str:
    """Return the sentence about a column with incompatible types."""
    return (
        f"{operator}: the column '{column}' is {first} in one part of the dataset and {second} in another; use one "
        "type in all files, or remove the column."
    )


def _fit(first: pa.DataType, second: pa.DataType) -> bool:
    try:
        pa.unify_schemas([pa.schema([("x", first)]), pa.schema([("x", second)])], promote_options="permissive")
    except pa.ArrowException:
        return False
    return True
