"""Selecting rows by a method, within topics or from a flat dataset as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import accumulate, pairwise
from typing import Any, NoReturn, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Features
from loguru import logger
from numpy.typing import NDArray

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.selection.budget import Budget, gain_budgets
from mergeit_ops.core.selection.method import Pool, Selection, SelectionMethod
from mergeit_ops.core.selection.taylor import graph_cut, taylor_budgets
from mergeit_ops.core.vectors import has_text
from mergeit_ops.dataset.readability import Readability
from mergeit_ops.dataset.topics import Topic, flat_features, table_topics, topic_features, topic_table
from mergeit_ops.errors import DatasetError, EmbeddingError, RecipeError
from mergeit_ops.jobs.choice import Choice
from mergeit_ops.jobs.rows import Rows
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.jobs.scores import RowScores, ScoreSettings, read_scores

__all__ = ["SelectionJob", "select_from_all", "select_from_topics"]

T = TypeVar("T")


@dataclass(frozen=True)
class SelectionJob:
    """A selection of rows.

    :param reader: reads the rows.
    :param method: chooses among them.
    :param budget: how many are kept.
    :param keeps_unreadable: whether rows that cannot be read are kept, outside the budget; else they are dropped.
    :param scoring: the scores that the recipe asks for; None: none.
    :param target_texts: texts of a target.
    :param scores: the scores of these rows; None: not yet read.
    :param targets: (m, d) vectors of the target; None: not yet embedded.
    :param kept_share: share of all rows that is kept, where rows are put in order to split a budget among topics.
    """

    reader: SampleReader
    method: SelectionMethod
    budget: Budget
    keeps_unreadable: bool = True
    scoring: ScoreSettings | None = None
    target_texts: tuple[str, ...] = ()
    scores: RowScores | None = None
    targets: NDArray[np.float32] | None = None
    kept_share: float | None = None

    def prepared(self, rows: Rows) -> tuple[SelectionJob, NDArray[np.float64] | None]:
        """Read the scores of a dataset and embed the target, before any other work.

        :param rows: flat rows or topics.
        :return: the job with both, and the score of each row; None if the recipe asks for none.
        :raises DatasetError: if there are no such scores.
        """
        scores, numbers = None, None
        if self.scoring is not None:
            counts = "scores" in self.method.needs
            scores, numbers = read_scores(rows, self.scoring, self.reader.operator, counts)
        targets = self.reader.encoder.embed(self.target_texts) if self.target_texts else None
        return replace(self, scores=scores, targets=targets, target_texts=()), numbers

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

    def split(self, topics: Sequence[tuple[int, int]]) -> list[int]:
        """Return how many rows each topic keeps: those chosen already, and a share of what is left of the total.

        :param topics: rows to choose from, and rows chosen already, of each.
        :raises DatasetError: if more rows are chosen already than the total.
        """
        before = [chosen for _, chosen in topics]
        left = (self.budget.total or 0) - sum(before)
        if left < 0:
            self._refuse_chosen(sum(before), sum(size for size, _ in topics), self.budget.total or 0)
        shares = replace(self.budget, total=left).split([size - chosen for size, chosen in topics])
        return [chosen + share for chosen, share in zip(before, shares, strict=True)]

    def _refuse_chosen(self, chosen: int, rows: int, budget: int) -> NoReturn:
        raise DatasetError(
            f"{self.reader.operator}: {chosen:,} of {rows:,} rows are chosen already, for their "
            f"'{self.method.chosen_column}' is true, but only {budget:,} may be kept. Rows chosen already count toward "
            "the budget: raise select_num, num_per_topic or select_ratio."
        )

    def chosen_before(self, table: pa.Table) -> tuple[None, NDArray[np.bool_] | None]:
        """Tell which rows of a table are chosen already; None if the method does not ask.

        :param table: flat rows.
        """
        column = self.method.chosen_column
        if column is None:
            return None, None
        values: Any = table.column(column).cast(pa.bool_())
        flags: Any = pc.fill_null(values, False)
        return None, np.asarray(flags, dtype=np.bool_)

    def readability(self, table: pa.Table) -> tuple[None, Readability]:
        """Tell how many rows of each topic can be read."""
        parts = [
            Readability.of(self.reader.texts(topic.table), topic.row, self.reader.layout)
            for topic in table_topics(table)
        ]
        return None, Readability.of_consecutive(parts)

    def sizes(self, table: pa.Table) -> tuple[None, list[tuple[int, tuple[int, int]]]]:
        """Tell the id of each topic, how many of its rows may be chosen, and how many of these are chosen already."""
        return None, [(part.topic.topic_id, (part.size, part.chosen_before)) for part in self._parts(table)]

    def centres(self, table: pa.Table) -> tuple[None, list[tuple[int, tuple[int, NDArray[np.float64]]]]]:
        """Tell the id of each topic, how many of its rows may be chosen, and their mean vector, of unit norm."""
        return None, [(part.topic.topic_id, (part.size, part.centre())) for part in self._parts(table)]

    def offers(self, table: pa.Table, total: int) -> tuple[None, list[tuple[int, Selection]]]:
        """Tell the id of each topic, and its rows in the order of the method, with their gains.

        :param table: topics.
        :param total: rows wanted over all topics: no topic keeps more.
        """
        return None, [(part.topic.topic_id, part.best(total)) for part in self._parts(table)]

    def select(self, table: pa.Table, budgets: Sequence[int] | None) -> tuple[pa.Table | None, Choice]:
        """Keep rows of each topic.

        :param table: topics.
        :param budgets: how many rows of each; None: the budget says it for each topic alone.
        :return: the topics that keep rows, and what was chosen.
        """
        parts = enumerate(self._parts(table))
        return _taken(
            part.kept(part.chosen(self.budget.of_flat(part.size) if budgets is None else budgets[number]))
            for number, part in parts
        )

    def take(self, table: pa.Table, chosen: Sequence[NDArray[np.int64]]) -> tuple[pa.Table | None, Choice]:
        """Keep chosen rows of each topic, in their order; see `select`.

        :param table: topics.
        :param chosen: positions of the chosen rows of each.
        """
        return _taken(part.kept(rows) for part, rows in zip(self._parts(table), chosen, strict=True))

    def from_all(
        self,
        vectors: NDArray[np.float32],
        numbers: NDArray[np.float64] | None,
        before: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.int64], Choice]:
        """Return the rows of a flat dataset that are kept.

        :param vectors: (n, d) float32; zero vectors of rows that cannot be read.
        :param numbers: (n,) the score of each; None: the recipe asks for none.
        :param before: (n,) which are chosen already; None: the method does not ask.
        :return: positions, ascending, and what was chosen.
        """
        readable = has_text(vectors)
        candidates = self.candidates(readable, numbers)
        size = int(candidates.sum())
        budget = self.budget.of_flat(size)
        whole = np.flatnonzero(candidates)
        chosen = whole if budget == size else self.chosen(vectors, candidates, numbers, before, budget).indices
        return self.outcome(chosen, readable, numbers, vectors)

    def _parts(self, table: pa.Table) -> Iterator[_TopicRows]:
        # One after the other: the vectors of all topics of a table may take much memory.
        return (_TopicRows(self, topic) for topic in table_topics(table))

    def candidates(self, readable: NDArray[np.bool_], numbers: NDArray[np.float64] | None) -> NDArray[np.bool_]:
        """Return which rows may be chosen: those that can be read and, if others are to be dropped, have a score.

        :param readable: (n,) which can be read.
        :param numbers: (n,) the score of each; None: the recipe asks for none.
        """
        if numbers is None or self.scores is None or not (self.scores.drops_missing and "scores" in self.method.needs):
            return readable
        return np.asarray(readable & ~np.isnan(numbers))

    def chosen(
        self,
        vectors: NDArray[np.float32],
        candidates: NDArray[np.bool_],
        numbers: NDArray[np.float64] | None,
        before: NDArray[np.bool_] | None,
        budget: int,
    ) -> Selection:
        """Choose rows by the method.

        :param vectors: (n, d) of all rows.
        :param candidates: (n,) which may be chosen.
        :param numbers: (n,) the score of each; None: the recipe asks for none.
        :param before: (n,) which are chosen already; None: the method does not ask.
        :param budget: rows to choose; all candidates if there are fewer.
        :return: positions among all rows, best first.
        :raises DatasetError: if more rows are chosen already than may be kept.
        """
        rows = np.flatnonzero(candidates)
        budget = min(budget, len(rows))
        chosen_before = np.zeros(0, bool) if before is None else before[rows]
        if chosen_before.sum() > budget:
            self._refuse_chosen(int(chosen_before.sum()), len(rows), budget)
        if not budget:
            return Selection(np.zeros(0, np.int64), np.zeros(0))
        self.check_size(len(rows), budget)
        if note := self.method.note(len(rows), budget):
            logger.info(f"{self.reader.operator}: {note}")
        # Usually all rows are candidates, and selecting all of them would copy them.
        known: dict[str, Any] = {"vectors": vectors if len(rows) == len(vectors) else vectors[rows]}
        if self.scores is not None and numbers is not None:
            known["scores"] = self.scores.scale(numbers[rows])
        if (targets := self._targets_for(vectors)) is not None:
            known["targets"] = targets
        if before is not None:
            known["chosen"] = chosen_before
        if self.kept_share is not None:
            known["kept"] = self.kept_share * len(rows)
        chosen = self.method.select(Pool(**known), budget)
        return Selection(rows[chosen.indices], chosen.gains)

    def outcome(
        self,
        chosen: NDArray[np.int64],
        readable: NDArray[np.bool_],
        numbers: NDArray[np.float64] | None,
        vectors: NDArray[np.float32] | None,
    ) -> tuple[NDArray[np.int64], Choice]:
        """Return the positions of the rows that stay, ascending, and what was chosen.

        :param chosen: positions of the chosen rows.
        :param readable: (n,) which rows can be read.
        :param numbers: (n,) the score of each; None: the recipe asks for none.
        :param vectors: (n, d) of all rows; needed if there is a target.
        :raises EmbeddingError: if the vectors have another width than those of the target.
        """
        positions = self.with_unreadable(chosen, readable)
        targets = self._targets_for(vectors)
        return positions, Choice.of(len(positions), len(readable), chosen, numbers, vectors, targets)

    def _targets_for(self, vectors: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
        if self.targets is None or vectors is None or vectors.shape[1] == self.targets.shape[1]:
            return self.targets
        if "targets" not in self.method.needs:
            return None
        raise EmbeddingError(
            f"{self.reader.operator}: the rows bring embeddings of width {vectors.shape[1]}, and those of the target "
            f"have {self.targets.shape[1]}; set embedding_model to the model that has made the first."
        )

    def with_unreadable(self, chosen: NDArray[np.int64], readable: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the positions of the rows that stay, ascending: the chosen ones, and the unreadable ones if kept."""
        others = np.flatnonzero(~readable) if self.keeps_unreadable else np.zeros(0, np.int64)
        return np.sort(np.concatenate([chosen, others]))


class _TopicRows:
    """The rows of one topic, each thing about them read once.

    :param job: the selection.
    :param topic: the topic.
    """

    def __init__(self, job: SelectionJob, topic: Topic) -> None:
        self.job = job
        self.topic = topic

    @cached_property
    def readable(self) -> NDArray[np.bool_]:
        return self.job.reader.readable(self.topic.table)

    @cached_property
    def numbers(self) -> NDArray[np.float64] | None:
        return None if self.job.scores is None else self.job.scores.field.numbers(self.topic.table)

    @cached_property
    def candidates(self) -> NDArray[np.bool_]:
        return self.job.candidates(self.readable, self.numbers)

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        return self.job.reader.vectors(self.topic.table)

    @property
    def size(self) -> int:
        return int(self.candidates.sum())

    @property
    def chosen_before(self) -> int:
        return 0 if self.before is None else int(self.before[self.candidates].sum())

    def centre(self) -> NDArray[np.float64]:
        total = self.vectors[self.candidates].sum(axis=0, dtype=np.float64)
        return total / (np.linalg.norm(total) or 1.0)

    @cached_property
    def before(self) -> NDArray[np.bool_] | None:
        return self.job.chosen_before(self.topic.table)[1]

    def best(self, budget: int) -> Selection:
        return self.job.chosen(self.vectors, self.candidates, self.numbers, self.before, budget)

    def chosen(self, budget: int) -> NDArray[np.int64]:
        return np.flatnonzero(self.candidates) if budget >= self.size else self.best(budget).indices

    def kept(self, chosen: NDArray[np.int64]) -> tuple[Topic | None, Choice]:
        vectors = None if self.job.targets is None else self.vectors
        positions, told = self.job.outcome(chosen, self.readable, self.numbers, vectors)
        return self.topic.take(positions) if len(positions) else None, told


def _taken(parts: Iterable[tuple[Topic | None, Choice]]) -> tuple[pa.Table | None, Choice]:
    """Return the topics that keep rows as a table, and what was chosen of all."""
    kept = list(parts)
    topics = [topic for topic, _ in kept if topic is not None]
    return (topic_table(topics) if topics else None), sum((told for _, told in kept), Choice())


def select_from_topics(rows: Rows, job: SelectionJob) -> tuple[Rows, dict[str, Any]]:
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
    job, _ = job.prepared(rows)
    total = job.budget.total
    if total is None:
        selected, told = rows.map(job.select, None, features=_features)
    elif job.budget.by_gain:
        job = job if job.method.needs == {"vectors"} else replace(job, kept_share=_kept_share(rows, job, total))
        offers = list(rows.tell(job.offers, total))
        ordered, places = _ordered(offers)
        shares = gain_budgets([offer.gains for offer in ordered], total)
        chosen = [offer.indices[:share] for offer, share in zip(ordered, shares, strict=True)]
        selected, told = rows.map(job.take, each=_placed(chosen, places, offers), features=_features)
    elif job.budget.by_centres:
        centres = list(rows.tell(job.centres))
        ordered_centres, places = _ordered(centres)
        budgets = _budgets_by_centres(ordered_centres, total)
        selected, told = rows.map(job.select, each=_placed(budgets, places, centres), features=_features)
    else:
        sizes = list(rows.tell(job.sizes))
        ordered_sizes, places = _ordered(sizes)
        budgets = job.split(ordered_sizes)
        selected, told = rows.map(job.select, each=_placed(budgets, places, sizes), features=_features)
    choice = sum(told, Choice())
    figures = {"rows_in": choice.rows, "rows_out": choice.kept, "topics": len(selected)}
    return selected, {**figures, **choice.figures(), **found.figures()}


def select_from_all(rows: Rows, job: SelectionJob, keep_embeddings: bool) -> tuple[Rows, dict[str, Any]]:
    """Select from a flat dataset as a whole.

    :param rows: flat rows.
    :param job: the selection.
    :param keep_embeddings: whether the chosen rows keep the embeddings that they bring.
    :return: the chosen rows, in their order, and the figures for the record.
    """
    job.check(rows)
    job.check_size(len(rows), job.budget.of_flat(len(rows)))
    job, numbers = job.prepared(rows)
    keeps = keep_embeddings and EMBEDDING in rows.columns
    column = job.method.chosen_column
    parts = [] if column is None else list(rows.tell(job.chosen_before, columns=[column]))
    before = np.concatenate(parts) if parts else None
    if before is not None and before.sum() > (budget := job.budget.of_flat(len(rows))):
        job._refuse_chosen(int(before.sum()), len(rows), budget)
    with_vectors, found = rows.with_vectors(job.reader, drops_unreadable=not job.keeps_unreadable)
    chosen, choice = with_vectors.choose(partial(job.from_all, numbers=numbers, before=before), job.reader)
    selected = with_vectors.take(chosen, () if keeps else (EMBEDDING,))
    return selected, {"rows_in": len(rows), "rows_out": len(selected), **choice.figures(), **found.figures()}


def _kept_share(rows: Rows, job: SelectionJob, total: int) -> float:
    available = sum(size for told in rows.tell(job.sizes) for _, (size, _) in told)
    return min(1.0, total / max(1, available))


def _budgets_by_centres(topics: Sequence[tuple[int, NDArray[np.float64]]], total: int) -> list[int]:
    """Return how many rows each topic keeps under the allocation `taylor`.

    :param topics: rows to choose from, and mean vector, of each.
    :param total: rows over all topics.
    """
    sizes = [size for size, _ in topics]
    order, gains = graph_cut(np.stack([centre for _, centre in topics])) if topics else ([], np.zeros(0))
    budgets = np.zeros(len(topics), dtype=np.int64)
    budgets[order] = taylor_budgets(gains, [sizes[topic] for topic in order], total)
    return [int(budget) for budget in budgets]


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
