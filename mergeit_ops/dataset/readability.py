"""Counts of rows without a text to embed, and the warnings and errors about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import pyarrow as pa
from loguru import logger
from numpy.typing import NDArray

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.formats import FORMATS_IN_WORDS, SampleFormat
from mergeit_ops.core.text.counts import agree
from mergeit_ops.dataset.tables import python_rows
from mergeit_ops.errors import DatasetError

_SHOWN_CHARACTERS = 120


@dataclass(frozen=True)
class Readability:
    """Counts of readable rows of a dataset, or of a part of it.

    :param rows: number of rows.
    :param unreadable: number of rows without a text that can be read, or with a zero vector.
    :param zero_vectors: number of rows with a text and a zero vector.
    :param example: a row without a text: its number, the column of its question and the value there; None if there is
        none.
    :param misleading: number of rows without a text but with a vector other than zero.
    """

    rows: int = 0
    unreadable: int = 0
    zero_vectors: int = 0
    example: tuple[int, str, str] | None = None
    misleading: int = 0

    @classmethod
    def of(
        cls,
        texts: NDArray[np.bool_],
        row: Callable[[int], pa.Table],
        layout: SampleFormat,
        first_row: int = 0,
        vectors: NDArray[np.bool_] | None = None,
    ) -> Readability:
        """Return the counts for a mask.

        :param texts: (n,) whether each row has a text that can be read.
        :param row: function that returns a row, as a table, by its position.
        :param layout: layout of the rows.
        :param first_row: number of the first row in its dataset.
        :param vectors: (n,) whether each row brings a vector other than zero; None if rows bring none.
        """
        there = np.zeros_like(texts) if vectors is None else vectors
        zero = 0 if vectors is None else int((texts & ~vectors).sum())
        positions = np.flatnonzero(~texts)
        example = None
        if len(positions):
            position = int(positions[0])
            column = layout.required_columns[0]
            example = (first_row + position, column, _value_of(row(position), column))
        return cls(len(texts), len(positions) + zero, zero, example, int((there & ~texts).sum()))

    @classmethod
    def of_parts(cls, parts: Iterable[Readability]) -> Readability:
        """Return the sum of the parts of a dataset, in order."""
        parts = list(parts)
        return cls(
            sum(part.rows for part in parts),
            sum(part.unreadable for part in parts),
            sum(part.zero_vectors for part in parts),
            next((part.example for part in parts if part.example), None),
            sum(part.misleading for part in parts),
        )

    def behind(self, rows: int) -> Readability:
        """Return the counts with the example's number shifted by the rows before."""
        if self.example is None:
            return self
        number, column, value = self.example
        return replace(self, example=(rows + number, column, value))

    @classmethod
    def of_consecutive(cls, parts: Iterable[Readability]) -> Readability:
        """Return the sum of parts that each count their rows from 0."""
        parts = list(parts)
        firsts = accumulate((part.rows for part in parts), initial=0)
        return cls.of_parts(part.behind(first) for part, first in zip(parts, firsts, strict=False))

    def check(self, operator: str, dropped: bool) -> None:
        """Warn about unreadable rows, or refuse a dataset if most rows are unreadable.

        :param operator: registry name of the operator that counts.
        :param dropped: whether the recipe drops such rows; otherwise they are kept.
        :raises DatasetError: if more than half of the rows cannot be read.
        """
        if not self.unreadable:
            return
        whats, cures = [], []
        if self.example is not None:
            number, column, value = self.example
            whats.append(f"no text that can be read (row {number}, column '{column}': {value})")
            cures.append(f"set sample_format and the keys of its columns. Known layouts: {FORMATS_IN_WORDS}")
        if self.zero_vectors:
            whats.append("a zero vector instead of an embedding")
            cures.insert(0, f"embed the rows again, or remove the column '{EMBEDDING}'")
        verb = agree(self.unreadable, "has", "have")
        counted = f"{operator}: {self.unreadable:,} of {self.rows:,} rows {verb} {' or '.join(whats)}"
        if 2 * self.unreadable > self.rows:
            cure = "; ".join(cures)
            raise DatasetError(f"{counted}; {cure}.")
        fate = "dropped, because unreadable_rows is drop" if dropped else "kept outside the budget and never merged"
        logger.warning(f"{counted}; {agree(self.unreadable, 'it is', 'they are')} {fate}.")

    def figures(self) -> Mapping[str, int]:
        """Return the figures for the record of the run; empty if all rows are readable."""
        return {"unreadable": self.unreadable} if self.unreadable else {}


def _value_of(row: pa.Table, column: str) -> str:
    if column not in row.column_names:
        return "no such column"
    shown = repr(python_rows(row.select([column]))[0][column])
    return shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + " ..."
