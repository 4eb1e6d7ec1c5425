"""Selecting rows by a method, within topics or from a flat dataset as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Features
from loguru import logger
from numpy.typing import NDArray

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.selection.budget import Budget, gain_budgets
from mergeit_ops.core.selection.method import Pool, Selection, SelectionMethod
from mergeit_ops.core.vectors import has_text
from mergeit_ops.dataset.readability import Readability
from mergeit_ops.dataset.topics import flat_features, table_topics, topic_features, topic_table
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.jobs.rows import Rows
from mergeit_ops.jobs.sample_reader import SampleReader

__all__ = ["SelectionJob", "select_from_all", "select_from_topics"]

T = TypeVar("T")


@dataclass(frozen=True)
class SelectionJob:
    """A selection of rows.

    :param reader: reads the rows.
    :param method: chooses among them.
    :param budget: how many are kept.
    :param keeps_unreadable: whether rows that cannot be read are kept, outside the budget; else they are dropped.
    """

    reader: SampleReader
    method: SelectionMethod
    budget: Budget
    keeps_unreadable: bool = True

    def check(self, rows: Rows) -> None:
        """Check that the rows have the column that the method reads.

        :raises DatasetError: if they have not, or it holds something other than true and false.
        """
        column = self.method.chosen_column
        if column is None:
            return
        if column not in rows.columns:
            raise DatasetError(
                f"{self.reader.operator}: there is no column '{column}' for the start_column; there are "
                f"{', '.join(map(repr, rows.columns))}."
            )
        kind = rows.types[column]
        if rows.grouped:
            kind = getattr(kind, "value_type", kind)
        if not (pa.types.is_boolean(kind) or pa.types.is_null(kind)):
            raise DatasetError(
                f"{self.reader.operator}: the start_column '{column}' must hold true or false, but its type is {kind}."
            )

    def check_size(self, rows: int, budget: int) -> None:
        """Check that the rows are not too many for the method.

        :param rows: rows to choose from.
        :param budget: rows to choose.
        :raises RecipeError: if they are.
        """
        if budget < rows and (why := self.method.refusal(rows, budget)):
            raise RecipeError(f"{self.reader.operator}: {why}.")

    def chosen_before(self, table: pa.Table) -> tuple[None, NDArray[np.bool_] | None]:
        """Tell which rows of a table are chosen already; None if the method does not ask.

        :param table: flat rows.
        """
        column = self.method.chosen_column
        if column is None:
            return None, None
        return None, np.asarray(pc.fill_null(table.column(column).cast(pa.bool_()), False), dtype=bool)

    def readability(self, table: pa.Table) -> tuple[None, Readability]:
        """Tell how many rows of each topic can be read."""
        parts = [
            Readability.of(self.reader.texts(topic.table), topic.row, self.reader.layout)
            for topic in table_topics(table)
        ]
        return None, Readability.of_consecutive(parts)

    def sizes(self, table: pa.Table) -> tuple[None, list[tuple[int, int]]]:
        """Tell the id of each topic, and how many of its rows may be chosen."""
        return None, [(topic.topic_id, int(self.reader.readable(topic.table).sum())) for topic in table_topics(table)]

    def offers(self, table: pa.Table, total: int) -> tuple[None, list[tuple[int, Selection]]]:
        """Tell the id of each topic, and its rows in the order of the method, with their gains.

        :param table: topics.
        :param total: rows wanted over all topics: no topic keeps more.
        """
        return None, [(topic.topic_id, self._offer(topic.table, total, True)) for topic in table_topics(table)]

    def select(self, table: pa.Table, budgets: Sequence[int] | None) -> tuple[pa.Table | None, tuple[int, int]]:
        """Keep rows of each topic.

        :param table: topics.
        :param budgets: how many rows of each; None: the budget says it for each topic alone.
        :return: the topics that keep rows, and rows in and out.
        """
        chosen = []
        for number, topic in enumerate(table_topics(table)):
            if budgets is None:
                budget = self.budget.of_flat(int(self.reader.readable(topic.table).sum()))
            else:
                budget = budgets[number]
            chosen.append(self._offer(topic.table, budget, False).indices)
        return self.take(table, chosen)

    def take(self, table: pa.Table, chosen: Sequence[NDArray[np.int64]]) -> tuple[pa.Table | None, tuple[int, int]]:
        """Keep chosen rows of each topic, in their order; see `select`.

        :param table: topics.
        :param chosen: positions of the chosen rows of each.
        """
        topics = list(table_topics(table))
        kept = [
            topic.take(positions)
            for topic, rows in zip(topics, chosen, strict=True)
            if len(positions := self._with_unreadable(rows, self.reader.readable(topic.table)))
        ]
        rows_in, rows_out = (sum(topic.table.num_rows for topic in part) for part in (topics, kept))
        return (topic_table(kept) if kept else None), (rows_in, rows_out)

    def from_all(
        self, vectors: NDArray[np.float32], chosen_before: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int64]:
        """Return the rows of a flat dataset that are kept.

        :param vectors: (n, d) float32; zero vectors of rows that cannot be read.
        :param chosen_before: see `chosen_before`.
        :return: positions, ascending.
        """
        readable = has_text(vectors)
        budget = self.budget.of_flat(int(readable.sum()))
        if budget == readable.sum():
            return self._with_unreadable(np.flatnonzero(readable), readable)
        return self._with_unreadable(self._chosen(vectors, readable, budget, chosen_before).indices, readable)

    def _offer(self, table: pa.Table, budget: int, with_gains: bool) -> Selection:
        readable = self.reader.readable(table)
        if not with_gains and budget >= readable.sum():
            whole = np.flatnonzero(readable)
            return Selection(whole, np.zeros(len(whole)))
        return self._chosen(self.reader.vectors(table), readable, budget, self.chosen_before(table)[1])

    def _chosen(
        self,
        vectors: NDArray[np.float32],
        readable: NDArray[np.bool_],
        budget: int,
        chosen_before: NDArray[np.bool_] | None,
    ) -> Selection:
        rows = np.flatnonzero(readable)
        budget = min(budget, len(rows))
        before = np.zeros(0, bool) if chosen_before is None else chosen_before[rows]
        if before.sum() > budget:
            raise DatasetError(
                f"{self.reader.operator}: {before.sum():,} of {len(rows):,} rows are chosen already, for their "
                f"'{self.method.chosen_column}' is true, but only {budget:,} may be kept. Rows chosen already count "
                "toward the budget: raise select_num, num_per_topic or select_ratio."
            )
        if not budget:
            return Selection(np.zeros(0, np.int64), np.zeros(0))
        self.check_size(len(rows), budget)
        if note := self.method.note(len(rows), budget):
            logger.info(f"{self.reader.operator}: {note}")
        # Usually all rows are readable, and selecting all of them would copy them.
        pool = Pool(vectors if len(rows) == len(vectors) else vectors[rows], chosen=before)
        chosen = self.method.select(pool, budget)
        return Selection(rows[chosen.indices], chosen.gains)

    def _with_unreadable(self, chosen: NDArray[np.int64], readable: NDArray[np.bool_]) -> NDArray[np.int64]:
        others = np.flatnonzero(~readable) if self.keeps_unreadable else np.zeros(0, np.int64)
        return np.sort(np.concatenate([chosen, others]))


def select_from_topics(rows: Rows, job: SelectionJob) -> tuple[Rows, dict[str, int]]:
    """Select within topics.

    :param rows: topics.
    :param job: the selection.
    :return: the topics with their chosen rows, and the figures for the record.
    """
    job.check(rows)
    found = Readability()
    if EMBEDDING not in rows.columns:
        # Topics of Data-Juicer's own groupers.
        found = Readability.of_consecutive(rows.tell(job.readability))
        found.check(job.reader.operator, dropped=not job.keeps_unreadable)
    total = job.budget.total
    if total is None:
        selected, told = rows.map(job.select, None, features=_features)
    elif job.budget.by_gain:
        offers = list(rows.tell(job.offers, total))
        ordered, places = _ordered(offers)
        shares = gain_budgets([offer.gains for offer in ordered], total)
        chosen = [offer.indices[:share] for offer, share in zip(ordered, shares, strict=True)]
        selected, told = rows.map(job.take, each=_placed(chosen, places, offers), features=_features)
    else:
        sizes = list(rows.tell(job.sizes))
        ordered_sizes, places = _ordered(sizes)
        budgets = job.budget.split(ordered_sizes)
        selected, told = rows.map(job.select, each=_placed(budgets, places, sizes), features=_features)
    rows_in, rows_out = (sum(column) for column in zip(*told, strict=True)) if told else (0, 0)
    return selected, {"rows_in": rows_in, "rows_out": rows_out, "topics": len(selected), **found.figures()}


def select_from_all(rows: Rows, job: SelectionJob, keep_embeddings: bool) -> tuple[Rows, dict[str, int]]:
    """Select from a flat dataset as a whole.

    :param rows: flat rows.
    :param job: the selection.
    :param keep_embeddings: whether the chosen rows keep the embeddings that they bring.
    :return: the chosen rows, in their order, and the figures for the record.
    """
    job.check(rows)
    job.check_size(len(rows), job.budget.of_flat(len(rows)))
    keeps = keep_embeddings and EMBEDDING in rows.columns
    with_vectors, found = rows.with_vectors(job.reader, drops_unreadable=not job.keeps_unreadable)
    column = job.method.chosen_column
    parts = [] if column is None else list(with_vectors.tell(job.chosen_before, columns=[column]))
    choose = partial(job.from_all, chosen_before=np.concatenate(parts) if parts else None)
    chosen = with_vectors.choose(choose, job.reader)
    selected = with_vectors.take(chosen, () if keeps else (EMBEDDING,))
    return selected, {"rows_in": len(rows), "rows_out": len(selected), **found.figures()}


def _features(features: Features) -> Features:
    return topic_features(flat_features(features))


def _ordered(told: Sequence[Sequence[tuple[int, T]]]) -> tuple[list[T], list[int]]:
    """Return what was told about topics in the order of their ids, and the place of each topic in that order.

    On a cluster topics lie in blocks in any order; a total is split in the same way wherever they lie.
    """
    flat = [pair for part in told for pair in part]
    order = sorted(range(len(flat)), key=lambda number: flat[number][0])
    places = np.argsort(order).tolist() if order else []
    return [flat[number][1] for number in order], places


def _placed(values: Sequence[T], places: Sequence[int], told: Sequence[Sequence[object]]) -> list[list[T]]:
    """Return the values of topics by table, from those in the order of the ids."""
    bounds = pairwise([0, *accumulate(map(len, told))])
    return [[values[places[number]] for number in range(first, end)] for first, end in bounds]
