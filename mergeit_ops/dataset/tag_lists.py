"""The tags of rows, as a column of lists of texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
from datasets import Features, List, Value

from mergeit_ops.dataset.tables import set_column
from mergeit_ops.errors import DatasetError

__all__ = ["check_tags", "tag_lists", "with_tag_features", "with_tags"]

_TAGS = pa.list_(pa.string())


def check_tags(types: Mapping[str, pa.DataType], column: str, operator: str) -> None:
    """Check that there is a column of tags.

    :param types: columns of flat rows and their types.
    :param column: name of the column.
    :param operator: registry name, for the message.
    :raises DatasetError: if it does not exist, or does not hold lists of texts.
    """
    if column not in types:
        raise DatasetError(
            f"{operator}: there is no column '{column}' for the tags_key; put instruction_tag_mapper before this "
            f"operator, or name the column with tags_key. There are {', '.join(map(repr, types))}."
        )
    kind = types[column]
    inner = kind.value_type if pa.types.is_list(kind) or pa.types.is_large_list(kind) else kind
    texts = pa.types.is_string(inner) or pa.types.is_large_string(inner)
    if not (pa.types.is_null(inner) or (texts and inner is not kind)):
        raise DatasetError(
            f"{operator}: the tags_key '{column}' must hold a list of texts for each row, but its type is {kind}."
        )


def tag_lists(table: pa.Table, column: str) -> list[list[str]]:
    """Return the tags of each row, each once, in the order in which they appear, without nulls.

    :param table: flat rows.
    :param column: a column that `check_tags` accepts.
    """
    values = table.column(column).to_pylist()
    return [list(dict.fromkeys(tag for tag in tags or () if tag is not None)) for tags in values]


def with_tags(table: pa.Table, column: str, tags: Iterable[Sequence[str]]) -> pa.Table:
    """Return rows with their tags.

    :param table: flat rows.
    :param column: name of the column; it is replaced if it exists.
    :param tags: the tags of each row.
    """
    return set_column(table, column, pa.array(list(tags), _TAGS))


def with_tag_features(features: Features, column: str) -> Features:
    """Return the columns and types of rows with tags."""
    return Features({**features, column: List(Value("string"))})
