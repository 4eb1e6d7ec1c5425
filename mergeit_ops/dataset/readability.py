"""Counts of rows without a text to embed, and the warnings and errors about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from loguru import logger
from numpy.typing import NDArray

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.formats import FORMATS_IN_WORDS, SampleFormat
from mergeit_ops.dataset.tables import python_rows
from mergeit_ops.errors import DatasetError

_SHOWN_CHARACTERS = 120


@dataclass(frozen=True)
class Readability:
    """Counts of readable rows of a dataset, or of a part of it.

    :param rows: number of rows.
    :param unreadable: number of rows without a text that can be read.
    :param example: one of them: its number, the column of its question and the value there; None if there is none.
    :param brought: whether the rows bring embeddings, so that their texts were not read.
    """

    rows: int = 0
    unreadable: int = 0
    example: tuple[int, str, str] | None = None
    brought: bool = False

    @classmethod
    def of(
        cls,
        readable: NDArray[np.bool_],
        row: Callable[[int], pa.Table],
        layout: SampleFormat,
        brought: bool,
        first_row: int = 0,
    ) -> Readability:
        """Return the counts for a mask.

        :param readable: (n,) whether each row is readable.
        :param row: gives a row by its position, as a table.
        :param layout: layout of the rows.
        :param brought: whether the rows bring embeddings.
        :param first_row: number of the first row in its dataset.
        """
        positions = np.flatnonzero(~readable)
        if not len(positions):
            return cls(len(readable), brought=brought)
        position = int(positions[0])
        column = EMBEDDING if brought else layout.required_columns[0]
        value = _value_of(row(position), column)
        return cls(len(readable), len(positions), (first_row + position, column, value), brought)

    @classmethod
    def of_parts(cls, parts: Iterable[Readability]) -> Readability:
        """Return the sum of the parts of a dataset, in order."""
        parts = list(parts)
        return cls(
            sum(part.rows for part in parts),
            sum(part.unreadable for part in parts),
            next((part.example for part in parts if part.example), None),
            any(part.brought for part in parts),
        )

    def check(self, operator: str, dropped: bool) -> None:
        """Warn about rows that cannot be read, or refuse a dataset if most cannot be read.

        :param operator: registry name of the operator that counts.
        :param dropped: whether the recipe says that such rows are dropped; else they are kept.
        :raises DatasetError: if more than half of the rows cannot be read.
        """
        if self.example is None:
            return
        number, column, value = self.example
        what = (
            "a zero vector instead of an embedding"
            if self.brought
            else f"no text that can be read (row {number}, column '{column}': {value})"
        )
        counted = f"{operator}: {self.unreadable:,} of {self.rows:,} rows have {what}"
        if 2 * self.unreadable > self.rows:
            cure = (
                f"embed the rows again, or remove the column '{EMBEDDING}'"
                if self.brought
                else f"set sample_format and the keys of its columns. Known layouts: {FORMATS_IN_WORDS}"
            )
            raise DatasetError(f"{counted}; {cure}.")
        fate = "dropped, because unreadable_rows is drop" if dropped else "kept outside the budget and never merged"
        logger.warning(f"{counted}; they are {fate}.")

    def figures(self) -> Mapping[str, int]:
        """Return the figures for the record of the run; empty if all rows are readable."""
        return {"unreadable": self.unreadable} if self.unreadable else {}


def _value_of(row: pa.Table, column: str) -> str:
    if column not in row.column_names:
        return "no such column"
    shown = repr(python_rows(row.select([column]))[0][column])
    return shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + " ..."
