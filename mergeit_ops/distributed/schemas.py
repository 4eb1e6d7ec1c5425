"""What the blocks of a Ray dataset hold, and whether it is one dataset."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from mergeit_ops.errors import DatasetError

__all__ = ["common_schema"]


def common_schema(schemas: Sequence[pa.Schema], operator: str) -> pa.Schema:
    """Return the columns and types that some tables have together: what one lacks is null there.

    Types are widened where no value changes by it: null to any other, a whole number to a longer one or to a float, a
    struct to one with more fields.

    :param schemas: of the tables.
    :param operator: registry name, for the message.
    :raises DatasetError: if a column has types that are no one type.
    """
    try:
        return pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException:
        pass
    for name in dict.fromkeys(name for schema in schemas for name in schema.names):
        kinds = list(dict.fromkeys(schema.field(name).type for schema in schemas if name in schema.names))
        other = next((kind for kind in kinds[1:] if not _fit(kinds[0], kind)), None)
        if other is not None:
            raise DatasetError(different_types(operator, name, kinds[0], other))
    raise DatasetError(f"{operator}: the files of the dataset have columns of different types; write them one way.")


def different_types(operator: str, column: str, first: pa.DataType, second: pa.DataType) -> str:
    """Return the sentence on a column whose types do not go together."""
    return (
        f"{operator}: the column '{column}' is {first} in one part of the dataset and {second} in another, which is no "
        "one column; write it one way in all files, or drop it from them."
    )


def _fit(first: pa.DataType, second: pa.DataType) -> bool:
    try:
        pa.unify_schemas([pa.schema([("x", first)]), pa.schema([("x", second)])], promote_options="permissive")
    except pa.ArrowException:
        return False
    return True
