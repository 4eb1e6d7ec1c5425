"""Select rows by a method, within topics or from a whole flat dataset."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
from loguru import logger
from numpy.typing import NDArray

from mergeit_ops.core.columns import META
from mergeit_ops.core.selection.budget import Budget
from mergeit_ops.core.selection.method import Need, Pool, Selection, SelectionMethod
from mergeit_ops.core.selection.summaries import Summaries
from mergeit_ops.core.vectors import has_text
from mergeit_ops.dataset.readability import Readability
from mergeit_ops.dataset.topics import Topic, flat_types, table_topics, topic_table
from mergeit_ops.errors import DatasetError, EmbeddingError, RecipeError
from mergeit_ops.jobs.choice import Choice
from mergeit_ops.jobs.fields import Field
from mergeit_ops.jobs.parts import Part
from mergeit_ops.jobs.row_facts import FactReader, RowFacts, TokensOf
from mergeit_ops.jobs.row_ids import row_ids
from mergeit_ops.jobs.rows import Rows
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.jobs.scores import RowScores, ScoreSettings, read_scores
from mergeit_ops.jobs.static_model import with_fitted_model
from mergeit_ops.jobs.tag_edges import tag_edges

__all__ = ["Candidates", "SelectionJob"]

_INSIDE: Mapping[Need, str] = {"topics": META}
"""Columns whose keys a recipe can name without the column."""


@dataclass(frozen=True)
class SelectionJob:
    """A selection of rows.

    :param reader: reads the rows.
    :param method: the selection method.
    :param budget: how many rows are kept.
    :param keeps_unreadable: whether unreadable rows are kept, outside the budget; otherwise they are dropped.
    :param scoring: the recipe's settings of scores; None without scores.
    :param target_texts: texts of a target.
    :param keys: for each need of the method, the recipe's parameter that names the field, and its value.
    :param tokens_of: what counts toward a budget of tokens; None if the budget counts rows.
    :param names_left_out: whether the record lists the ids of rows that a bound of the method leaves out.
    :param fields: these fields in the rows of the dataset.
    :param scores: the scores of the rows; None if they are not read yet.
    :param targets: (m, d) vectors of the target; None if they are not embedded yet.
    :param tag_edges: pairs of similar tags; see `Pool`.
    :param kept_share: share of all rows that is kept, if rows are ordered to split a budget among topics.
    """

    reader: SampleReader
    method: SelectionMethod
    budget: Budget
    keeps_unreadable: bool = True
    scoring: ScoreSettings | None = None
    target_texts: tuple[str, ...] = ()
    keys: Mapping[Need, tuple[str, str]] = field(default_factory=dict)
    tokens_of: TokensOf | None = None
    names_left_out: bool = False
    fields: Mapping[Need, Field] = field(default_factory=dict)
    scores: RowScores | None = None
    targets: NDArray[np.float32] | None = None
    tag_edges: Sequence[tuple[str, str, float]] = ()
    kept_share: float | None = None

    @property
    def needs_vectors(self) -> bool:
        """Return whether rows must be embedded."""
        return "vectors" in self.method.needs or bool(self.target_texts) or self.targets is not None

    def with_model(self, rows: Rows) -> SelectionJob:
        """Fit a model to the rows, if the recipe asks for one and rows will be embedded; see `with_fitted_model`."""
        embeds = self.needs_vectors or self.method.edge_similarity is not None
        return replace(self, reader=with_fitted_model(rows, self.reader)) if embeds else self

    def found(self, rows: Rows) -> SelectionJob:
        """Find the fields that the method reads.

        :return: the job with these fields.
        :raises DatasetError: if a field does not exist, or holds values of another type.
        """
        types = flat_types(rows.types) if rows.grouped else rows.types
        fields: dict[Need, Field] = {}
        for need, (parameter, key) in self.keys.items():
            if need not in self.method.needs:
                continue
            found = Field.of(key, list(types), _INSIDE.get(need))
            if found is None:
                raise DatasetError(
                    f"{self.reader.operator}: there is no column '{key}' for the {parameter}; there are "
                    f"{', '.join(map(repr, rows.columns))}."
                )
            self._check_type(need, found, types[found.column])
            fields[need] = found
        return replace(self, fields=fields)

    def _check_type(self, need: Need, field: Field, kind: pa.DataType) -> None:
        # Values inside a column are checked when they are read.
        if need != "chosen" or field.path or pa.types.is_boolean(kind) or pa.types.is_null(kind):
            return
        parameter, key = self.keys[need]
        raise DatasetError(
            f"{self.reader.operator}: the {parameter} '{key}' must hold true or false, but its type is {kind}."
        )

    def prepared(self, rows: Rows) -> tuple[SelectionJob, NDArray[np.float64] | None]:
        """Read the scores of a dataset and, if needed, embed its tags and the target, before any other work.

        :param rows: flat rows or topics.
        :return: the job with these values, and the score of each row; None if the recipe asks for no scores.
        :raises DatasetError: if there are no scores, or too many tags.
        """
        scores, numbers = None, None
        if self.scoring is not None:
            counts = "scores" in self.method.needs
            scores, numbers = read_scores(rows, self.scoring, self.reader.operator, counts)
        targets = self.reader.encoder.embed(self.target_texts) if self.target_texts else None
        job = replace(self, scores=scores, targets=targets, target_texts=())
        similarity = self.method.edge_similarity
        if similarity is not None:
            tags = self._fact_reader({"tags": self.fields["tags"]}, None)
            job = replace(job, tag_edges=tag_edges(rows, tags, similarity))
        return job, numbers

    def facts(self, table: pa.Table) -> RowFacts:
        """Return the facts about the rows of a topic, besides their vectors.

        :param table: flat rows.
        """
        fields = self.fields if self.scores is None else {**self.fields, "scores": self.scores.field}
        return self._fact_reader(fields, self.reader.readable).read(table)

    def facts_of_all(self, rows: Rows, scores: NDArray[np.float64] | None) -> RowFacts:
        """Return the facts about all rows of a flat dataset, besides their vectors.

        :param rows: the rows.
        :param scores: (n,) score of each row; None if the recipe asks for no scores.
        """
        reader = self._fact_reader(self.fields, None if self.needs_vectors else self.reader.texts)
        parts = rows.tell(reader.tell, columns=reader.columns(rows.columns)) if reader.has_work else ()
        return replace(RowFacts.joined(list(parts)), scores=scores)

    def _fact_reader(
        self, fields: Mapping[Need, Field], readable: Callable[[pa.Table], NDArray[np.bool_]] | None
    ) -> FactReader:
        return FactReader(self.reader, self.method.needs, fields, self.keys, self.tokens_of, readable)

    def check_size(self, rows: int, budget: int) -> None:
        """Check that there are not too many rows for the method.

        :param rows: rows to choose from.
        :param budget: rows to choose.
        :raises RecipeError: if they are.
        """
        if budget < rows and (why := self.method.refusal(rows, budget)):
            raise RecipeError(f"{self.reader.operator}: {why}.")

    def split(self, topics: Sequence[tuple[int, int]]) -> list[int]:
        """Return the share of each topic: what is chosen already, plus a part of the rest of the total.

        :param topics: for each topic, the rows or tokens (as the budget counts) that may be chosen, and those chosen
            already.
        :raises DatasetError: if more is chosen already than the total.
        """
        before = [chosen for _, chosen in topics]
        left = (self.budget.total or 0) - sum(before)
        if left < 0:
            self.refuse_chosen(sum(before), sum(size for size, _ in topics), self.budget.total or 0)
        shares = replace(self.budget, total=left).split([size - chosen for size, chosen in topics])
        return [chosen + share for chosen, share in zip(before, shares, strict=True)]

    def refuse_chosen(self, chosen: int, available: int, budget: int) -> NoReturn:
        """Raise the error for rows chosen already that exceed the budget.

        :param chosen: rows or tokens (as the budget counts) that are chosen already.
        :param available: rows or tokens in all.
        :param budget: rows or tokens that may be kept.
        :raises DatasetError: always.
        """
        unit = "rows" if self.tokens_of is None else "tokens"
        cure = "select_num, num_per_topic or select_ratio" if self.tokens_of is None else "select_tokens"
        raise DatasetError(
            f"{self.reader.operator}: {chosen:,} of {available:,} {unit} are chosen already, because their "
            f"'{self.keys['chosen'][1]}' is true, but only {budget:,} may be kept. Rows chosen already count toward "
            f"the budget: raise {cure}."
        )

    def readability(self, table: pa.Table) -> tuple[None, Readability]:
        """Count the readable rows of each topic."""
        parts = [
            Readability.of(self.reader.texts(topic.table), topic.row, self.reader.layout)
            for topic in table_topics(table)
        ]
        return None, Readability.of_consecutive(parts)

    def flat_readability(self, table: pa.Table) -> tuple[None, Readability]:
        """Count the readable flat rows."""
        return None, Readability.of(self.reader.texts(table), lambda row: table.slice(row, 1), self.reader.layout)

    def sizes(self, table: pa.Table) -> tuple[None, list[tuple[int, tuple[int, int]]]]:
        """Return the id of each topic, how much of it may be chosen, and how much is chosen already; see `split`."""
        return None, [(topic.topic_id, (part.amount, part.chosen_amount)) for topic, part in self._parts(table)]

    def centres(self, table: pa.Table) -> tuple[None, list[tuple[int, tuple[int, NDArray[np.float64]]]]]:
        """Return the id of each topic, how much of it may be chosen, and the mean vector of its rows, of unit norm."""
        return None, [(topic.topic_id, (part.amount, part.centre())) for topic, part in self._parts(table)]

    def offers(self, table: pa.Table, total: int) -> tuple[None, list[tuple[int, Selection]]]:
        """Return the id of each topic, and its rows in the order of the method with their gains.

        :param table: topics.
        :param total: rows to keep over all topics; no topic keeps more.
        """
        return None, [(topic.topic_id, part.best(total)) for topic, part in self._parts(table)]

    def select(self, table: pa.Table, shares: Sequence[int] | None) -> tuple[pa.Table | None, Choice]:
        """Keep rows of each topic.

        :param table: topics.
        :param shares: the share of each topic; None if the budget gives it for each topic separately.
        :return: the topics that keep rows, and the choice.
        """
        return _taken(
            self._outcome(topic, part, None if shares is None else shares[number])
            for number, (topic, part) in enumerate(self._parts(table))
        )

    def _outcome(self, topic: Topic, part: Candidates, share: int | None) -> tuple[Topic, NDArray[np.int64], Choice]:
        positions, choice = part.outcome(part.chosen(self.budget.of_flat(part.amount) if share is None else share))
        if self.names_left_out:
            choice = choice.with_twins(row_ids(topic.table, Counter(), self.reader.operator))
        return topic, positions, choice

    def take(self, table: pa.Table, chosen: Sequence[NDArray[np.int64]]) -> tuple[pa.Table | None, Choice]:
        """Keep chosen rows of each topic, in their order; see `select`.

        :param table: topics.
        :param chosen: positions of the chosen rows of each topic.
        """
        return _taken(
            (topic, *part.outcome(Selection.of_all(rows)))
            for (topic, part), rows in zip(self._parts(table), chosen, strict=True)
        )

    def from_all(self, vectors: NDArray[np.float32] | None, facts: RowFacts) -> tuple[NDArray[np.int64], Choice]:
        """Return the rows of a flat dataset to keep.

        :param vectors: (n, d) float32, zero for unreadable rows; None if the method needs no vectors.
        :param facts: other facts about the rows.
        :return: positions, ascending, and the choice.
        """
        if vectors is not None:
            facts = replace(facts, readable=has_text(vectors))
        part = Candidates(self, facts, lambda: np.zeros((0, 0), np.float32) if vectors is None else vectors)
        return part.outcome(part.chosen(self.budget.of_flat(part.amount)))

    def _parts(self, table: pa.Table) -> Iterator[tuple[Topic, Candidates]]:
        # One after the other, because the vectors of all topics of a table may take much memory.
        for topic in table_topics(table):
            yield topic, Candidates(self, self.facts(topic.table), partial(self.reader.vectors, topic.table))


class Candidates:
    """The rows of one topic, of a flat dataset or of a part of it, and those that may be chosen.

    :param job: the selection.
    :param facts: facts about the rows besides their vectors.
    :param read_vectors: function that reads their vectors.
    :param summaries: a group of rows for each row, if the rows were chosen from more; see `Pool`.
    """

    def __init__(
        self,
        job: SelectionJob,
        facts: RowFacts,
        read_vectors: Callable[[], NDArray[np.float32]],
        summaries: Summaries | None = None,
    ) -> None:
        self.job = job
        self.summaries = summaries
        assert facts.readable is not None
        self.readable = facts.readable
        self.all = facts
        self._read_vectors = read_vectors

    @classmethod
    def of_part(cls, job: SelectionJob, part: Part, facts: RowFacts) -> Candidates:
        """Return the candidates of a part.

        :param job: the selection.
        :param part: some rows of a flat dataset.
        :param facts: facts about all rows of the dataset.
        """
        own = replace(facts.of(part.rows), readable=has_text(part.vectors))
        return cls(job, own, lambda: part.vectors, part.summaries)

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Positions of the rows that can be read and, if rows without a score are dropped, have a score."""
        scores, settings = self.all.scores, self.job.scores
        if scores is None or settings is None or not (settings.drops_missing and "scores" in self.job.method.needs):
            return np.flatnonzero(self.readable)
        return np.flatnonzero(self.readable & ~np.isnan(scores))

    @cached_property
    def facts(self) -> RowFacts:
        """Facts about the candidates."""
        return self.all if len(self.rows) == len(self.readable) else self.all.of(self.rows)

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """Vectors of all rows, (n, d), zero for unreadable ones."""
        return self._read_vectors()

    @property
    def amount(self) -> int:
        """Rows that may be chosen, or their tokens if the budget counts tokens."""
        return len(self.rows) if self.facts.tokens is None else int(self.facts.tokens.sum())

    @property
    def chosen_amount(self) -> int:
        """Rows that are chosen already, or their tokens."""
        if self.facts.chosen is None:
            return 0
        return int(self.facts.chosen.sum() if self.facts.tokens is None else self.facts.tokens[self.facts.chosen].sum())

    def centre(self) -> NDArray[np.float64]:
        """Return the mean vector of the rows, of unit norm."""
        total = self.vectors[self.rows].sum(axis=0, dtype=np.float64)
        return total / (np.linalg.norm(total) or 1.0)

    def chosen(self, share: int) -> Selection:
        """Return the rows that the method chooses; all if the share is large enough and the method has no stats or
        bound."""
        method = self.job.method
        if share >= self.amount and not method.has_bound and not method.stats:
            return Selection.of_all(self.rows)
        return self.best(share)

    def best(self, share: int) -> Selection:
        """Return the positions of the rows that the method chooses, best first.

        :param share: rows or tokens (as the budget counts).
        :raises DatasetError: if more rows are chosen already.
        """
        share = min(share, self.amount)
        if self.chosen_amount > share:
            self.job.refuse_chosen(self.chosen_amount, self.amount, share)
        if share:
            count = self._count(share)
            self.job.check_size(len(self.rows), count)
            if note := self.job.method.note(len(self.rows), count):
                logger.info(f"{self.job.reader.operator}: {note}")
        return self.ordered(share)

    def _count(self, share: int) -> int:
        """Return about how many rows a share is."""
        tokens = self.facts.tokens
        return share if tokens is None else min(len(self.rows), math.ceil(share / tokens.mean()))

    def ordered(self, share: int) -> Selection:
        """Return the positions of the rows that the method chooses, best first. It logs nothing.

        :param share: rows or tokens (as the budget counts), not more than there are.
        """
        if not share:
            return Selection(np.zeros(0, np.int64), np.zeros(0))
        tokens, method = self.facts.tokens, self.job.method
        pool = self._pool(None if tokens is None else self._count(share))
        chosen = method.select(pool, share) if tokens is None else method.select_within(pool, tokens, share)
        return replace(chosen, indices=self.rows[chosen.indices], left_out=self.rows[chosen.left_out])

    def _pool(self, kept: float | None) -> Pool:
        job, facts = self.job, self.facts
        known: dict[str, Any] = {"kept": kept, "tag_edges": job.tag_edges}
        if "vectors" in job.method.needs:
            # Usually all rows are candidates, and indexing with all of them would copy them.
            whole = len(self.rows) == len(self.readable)
            known["vectors"] = self.vectors if whole else self.vectors[self.rows]
        if job.scores is not None and facts.scores is not None:
            known["scores"] = job.scores.scale(facts.scores)
        if (targets := self._targets()) is not None:
            known["targets"] = targets
        if job.kept_share is not None:
            rows = len(self.rows) if self.summaries is None else int(self.summaries.rows.sum())
            known["kept"] = job.kept_share * rows
        if self.summaries is not None:
            known["summaries"] = self.summaries
        brought = {"chosen": facts.chosen, "tags": facts.tags, "texts": facts.texts}
        known |= {name: values for name, values in brought.items() if values is not None}
        if facts.topics is not None:
            known["topics"] = facts.topic_numbers
        return Pool(**known)

    def outcome(self, selection: Selection) -> tuple[NDArray[np.int64], Choice]:
        """Return the positions of the rows that stay, ascending, and the choice.

        :param selection: the chosen rows. Unreadable rows stay too if the recipe keeps them.
        :raises EmbeddingError: if the vectors have another width than those of the target.
        """
        chosen = selection.indices
        others = np.flatnonzero(~self.readable) if self.job.keeps_unreadable else np.zeros(0, np.int64)
        positions = np.sort(np.concatenate([chosen, others]))
        targets = self._targets()
        vectors = None if targets is None else self.vectors
        told = Choice.of(len(positions), len(self.readable), chosen, self.all.scores, vectors, targets, self.all.tokens)
        return positions, told.with_words_of(selection, positions)

    def _targets(self) -> NDArray[np.float32] | None:
        targets = self.job.targets
        if targets is None or self.vectors.shape[1] == targets.shape[1]:
            return targets
        if "targets" not in self.job.method.needs:
            return None
        raise EmbeddingError(
            f"{self.job.reader.operator}: the rows bring embeddings of width {self.vectors.shape[1]}, and those of the "
            f"target have {targets.shape[1]}; set embedding_model to the model of the rows."
        )


def _taken(parts: Iterable[tuple[Topic, NDArray[np.int64], Choice]]) -> tuple[pa.Table | None, Choice]:
    """Return the topics that keep rows as a table, and the choice over all topics."""
    kept = [(topic.take(positions) if len(positions) else None, told) for topic, positions, told in parts]
    topics = [topic for topic, _ in kept if topic is not None]
    return (topic_table(topics) if topics else None), sum((told for _, told in kept), Choice())
