"""What a selection needs to know about rows besides their vectors, read table by table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.selection.method import Need
from mergeit_ops.core.text.token_estimate import estimate_tokens
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.fields import Field
from mergeit_ops.jobs.sample_reader import SampleReader

__all__ = ["TOKENS_OF", "FactReader", "RowFacts", "TokensOf"]

TokensOf = Literal["response", "row"]
TOKENS_OF: tuple[TokensOf, ...] = ("response", "row")


@dataclass(frozen=True, eq=False)
class RowFacts:
    """Facts about n rows. A fact that is not needed is None.

    :param readable: (n,) which rows have a readable text, or a vector other than zero.
    :param scores: (n,) score of each row; NaN if it has none.
    :param chosen: (n,) which rows are chosen already.
    :param topics: (n,) topic of each row; None if it has none.
    :param tags: (n,) the tags of each row.
    :param texts: (n,) the query text of each row.
    :param tokens: (n,) estimated tokens of each row, at least 1.
    """

    readable: NDArray[np.bool_] | None = None
    scores: NDArray[np.float64] | None = None
    chosen: NDArray[np.bool_] | None = None
    topics: Sequence[Any] | None = None
    tags: Sequence[tuple[str, ...]] | None = None
    texts: Sequence[str] | None = None
    tokens: NDArray[np.int64] | None = None

    @classmethod
    def joined(cls, parts: Sequence[RowFacts]) -> RowFacts:
        """Join the facts about the rows of consecutive tables."""
        if not parts:
            # There are no rows, or the fact is not needed; then the vectors say which rows can be read.
            return cls(readable=np.zeros(0, dtype=np.bool_))
        known = {field.name: [getattr(part, field.name) for part in parts] for field in fields(cls)}
        return cls(**{name: _joined(values) for name, values in known.items() if values[0] is not None})

    def of(self, rows: NDArray[np.int64]) -> RowFacts:
        """Return the facts about some of the rows.

        :param rows: positions.
        """
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        return RowFacts(**{name: _some(values, rows) for name, values in known.items() if values is not None})

    @property
    def topic_numbers(self) -> NDArray[np.int64]:
        """Return the topics as numbers from 0, by first appearance; -1 for none."""
        numbers: dict[Any, int] = {None: -1}
        return np.asarray([numbers.setdefault(topic, len(numbers) - 1) for topic in self.topics or ()], dtype=np.int64)


def _joined(values: Sequence[Any]) -> Any:
    return np.concatenate(values) if isinstance(values[0], np.ndarray) else [value for part in values for value in part]


def _some(values: Any, rows: NDArray[np.int64]) -> Any:
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows.tolist()]


@dataclass(frozen=True)
class FactReader:
    """Reads the facts that a selection needs about rows. It is small, because it is sent to the workers of a cluster.

    :param reader: reader of the rows as samples.
    :param needs: what the method needs.
    :param fields: fields of `scores`, `chosen`, `topics` and `tags`.
    :param keys: for each need, the recipe's parameter that names its field, and the parameter's value.
    :param tokens_of: what counts toward a budget of tokens: the `response` or the whole `row`; None if tokens are not
        counted.
    :param readable: function that returns which rows of a table can be read; None if this is not needed.
    """

    reader: SampleReader
    needs: frozenset[Need]
    fields: Mapping[Need, Field]
    keys: Mapping[Need, tuple[str, str]]
    tokens_of: TokensOf | None = None
    readable: Callable[[pa.Table], NDArray[np.bool_]] | None = None

    @property
    def has_work(self) -> bool:
        """Return whether there is anything to read."""
        return bool(self.fields) or self._reads_samples

    @property
    def _reads_samples(self) -> bool:
        return "texts" in self.needs or self.tokens_of is not None or self.readable is not None

    def columns(self, columns: Iterable[str]) -> list[str]:
        """Return the columns of flat rows that are read.

        :param columns: columns of the dataset.
        """
        read = {field.column for field in self.fields.values()}
        if self._reads_samples:
            read |= set(self.reader.layout.columns)
        return [name for name in columns if name in read]

    def tell(self, table: pa.Table) -> tuple[None, RowFacts]:
        """Return the facts about flat rows; see `TableFunction`."""
        return None, self.read(table)

    def read(self, table: pa.Table) -> RowFacts:
        """Return the facts about flat rows.

        :param table: the rows.
        :raises DatasetError: if a value does not have the type that its field must have.
        """
        known: dict[str, Any] = {}
        for need, field in self.fields.items():
            known[need] = field.numbers(table) if need == "scores" else self._checked(need, field, table)
        if "texts" in self.needs or self.tokens_of is not None:
            # Training on a row also costs the tokens of its reasoning trace, in any layout.
            samples = self.reader.samples(table, "response")
            if "texts" in self.needs:
                known["texts"] = [sample.query for sample in samples]
            if self.tokens_of is not None:
                known["tokens"] = np.asarray([_tokens(sample, self.tokens_of) for sample in samples], dtype=np.int64)
        if self.readable is not None:
            known["readable"] = self.readable(table)
        return RowFacts(**known)

    def _checked(self, need: Need, field: Field, table: pa.Table) -> Any:
        values = field.values(table)
        if need == "chosen":
            return np.asarray([self._flag(value) for value in values], dtype=np.bool_)
        return [self._tags(value) for value in values] if need == "tags" else values

    def _flag(self, value: Any) -> bool:
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self._error("chosen", "true or false", value)

    def _tags(self, value: Any) -> tuple[str, ...]:
        if value is None:
            return ()
        if isinstance(value, (list, tuple)) and all(isinstance(tag, str) or tag is None for tag in value):
            return tuple(dict.fromkeys(tag for tag in value if tag))
        raise self._error("tags", "a list of texts in every row", value)

    def _error(self, need: Need, wanted: str, value: Any) -> DatasetError:
        parameter, key = self.keys[need]
        return DatasetError(
            f"{self.reader.operator}: the {parameter} '{key}' must hold {wanted}, but a value is of the type "
            f"{type(value).__name__}."
        )


def _tokens(sample: Sample, counted: TokensOf) -> int:
    parts: Callable[[Sample], tuple[str, ...]] = _WRITTEN[counted]
    return max(1, sum(estimate_tokens(text) for text in parts(sample)))


_WRITTEN: Mapping[TokensOf, Callable[[Sample], tuple[str, ...]]] = {
    "response": lambda sample: (sample.output,),
    "row": lambda sample: (sample.system, sample.instruction, sample.input, sample.output),
}
