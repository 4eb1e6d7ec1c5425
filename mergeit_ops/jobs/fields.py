"""Fields of rows: a column, or a key inside a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mergeit_ops.core.columns import STATS
from mergeit_ops.core.selection.scales import finite_numbers
from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.dataset.stats import stats_of
from mergeit_ops.dataset.tables import python_rows
from mergeit_ops.dataset.topics import table_topics

__all__ = ["Field", "hidden_stats_warning"]


def hidden_stats_warning(operator: str, name: str, rows: int) -> str:
    """Return the warning that a column is read although there is a stat of its name.

    :param operator: registry name of the operator.
    :param name: name of the column and the stat.
    :param rows: number of rows with the stat.
    """
    return (
        f"{operator}: '{name}' is read from the column of that name, although {many(rows, 'row')} "
        f"{agree(rows, 'has', 'have')} a stat of that name. To read the stat, write {STATS}.{name}, or rename the "
        "column before this operator."
    )


@dataclass(frozen=True)
class Field:
    """A column, or a key inside its values.

    :param column: the column.
    :param path: keys inside its values.
    """

    column: str
    path: tuple[str, ...] = ()

    @classmethod
    def of(cls, key: str, columns: Sequence[str], inside: str | None = None) -> Field | None:
        """Return the field that a recipe names; None if it does not exist.

        A column comes before a stat of its name, because only the stat has another name, its path.

        :param key: a column, a key inside one after a dot, or a key of the column `inside`.
        :param columns: columns of the dataset.
        :param inside: a column, such as the stats, whose keys can be named without the column.
        """
        column, *path = key.split(".")
        if key in columns:
            return cls(key)
        if path and column in columns:
            return cls(column, tuple(path))
        if not path and inside in columns:
            return cls(str(inside), (key,))
        return None

    def values(self, table: pa.Table) -> list[Any]:
        """Return the value of each row; None if there is none.

        :param table: flat rows.
        """
        return [self.value_in(row) for row in python_rows(table.select([self.column]))]

    def value_in(self, row: Mapping[str, Any]) -> Any:
        """Return the value of a row; None if there is none.

        :param row: the row, with the column.
        """
        value = row[self.column]
        for key in self.path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def numbers(self, table: pa.Table) -> NDArray[np.float64]:
        """Return the number of each row; NaN if there is none.

        :param table: flat rows.
        """
        return finite_numbers(self.values(table))

    def hidden_stats(self, table: pa.Table) -> int:
        """Return the number of rows with a stat of the column's name, which this field does not read.

        :param table: flat rows.
        """
        return 0 if self.path else sum(self.column in stats for stats in stats_of(table))

    def tell_hidden_stats(self, table: pa.Table, grouped: bool) -> tuple[None, int]:
        """Return the number of hidden stats of rows, flat or in topics; see `TableFunction`."""
        tables = [topic.table for topic in table_topics(table)] if grouped else [table]
        return None, sum(map(self.hidden_stats, tables))

    def tell_values(self, table: pa.Table) -> tuple[None, list[Any]]:
        """Return the values of flat rows; see `TableFunction`."""
        return None, self.values(table)

    def tell_numbers(self, table: pa.Table, grouped: bool) -> tuple[None, NDArray[np.float64]]:
        """Return the numbers of rows, flat or in topics; see `TableFunction`."""
        if not grouped:
            return None, self.numbers(table)
        parts = [self.numbers(topic.table) for topic in table_topics(table.select([self.column]))]
        return None, np.concatenate([np.zeros(0), *parts])
