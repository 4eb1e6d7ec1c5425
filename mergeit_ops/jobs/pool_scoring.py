"""Score each row in comparison with the whole set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, chain, pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Features
from loguru import logger
from numpy.typing import NDArray

from mergeit_ops.core.columns import EMBEDDING, META, ROW_ID, STATS, is_content
from mergeit_ops.core.formats.views import View
from mergeit_ops.core.rows.identity import content_digest, number_duplicates
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.core.selection.method import Pool
from mergeit_ops.core.vectors import has_text
from mergeit_ops.dataset.readability import Readability
from mergeit_ops.dataset.stats import stats_of
from mergeit_ops.dataset.tables import JSON, json_array, set_column
from mergeit_ops.errors import DatasetError, named
from mergeit_ops.jobs.fields import Field
from mergeit_ops.jobs.row_facts import RowFacts
from mergeit_ops.jobs.row_keys import content_keys
from mergeit_ops.jobs.rows import ModelUse, Rows
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.jobs.scoring import stat_entries, stat_types
from mergeit_ops.jobs.static_model import model_figures, with_fitted_model
from mergeit_ops.scorers.pool import (
    CuttingPoolScorer,
    ModelPoolScorer,
    NotingPoolScorer,
    PoolScorer,
    WarningPoolScorer,
    needs_of,
    pool_notes,
    pool_scores,
    prepared,
)

__all__ = ["PoolScoreJob", "score_pool"]

_UNREADABLE = Score.missing("unreadable")


@dataclass(frozen=True)
class PoolScoreJob:
    """Adds the scores of each row, in comparison with all rows, to its stats.

    :param reader: reads the rows.
    :param name: name of the scorer in the recipe.
    :param scorer: the scorer. Unreadable rows are left out and have the status `unreadable`.
    :param brings_embeddings: whether the rows bring embeddings, which they keep.
    :param targets: rows of the file that the scorer names.
    :param view: which part of a row the scorer reads.
    """

    reader: SampleReader
    name: str
    scorer: PoolScorer
    brings_embeddings: bool
    targets: tuple[Sample, ...] = ()
    view: View = "answer"

    @property
    def needs_vectors(self) -> bool:
        """Return whether rows must be embedded."""
        return "vectors" in needs_of(self.scorer)

    def model_in(self, step: str) -> ModelUse | None:
        """Return the model that a method of the scorer runs; None if it runs none.

        :param step: `prepare` or `score`.
        """
        scorer = self.scorer
        if not isinstance(scorer, ModelPoolScorer) or scorer.model_step != step:
            return None
        return ModelUse(self.reader.operator, scorer.device)

    def readable(self, table: pa.Table) -> tuple[None, tuple[NDArray[np.bool_], Readability]]:
        """Return which flat rows have a readable text, and their counts."""
        texts = self.reader.texts(table)
        return None, (texts, Readability.of(texts, lambda row: table.slice(row, 1), self.reader.layout))

    def samples(self, table: pa.Table) -> tuple[None, list[Sample]]:
        """Return the samples of flat rows."""
        return None, self.reader.samples(table, self.view)

    def facts(self, rows: Rows) -> dict[str, Any]:
        """Return what the scorer needs to know about the rows besides their vectors, by name in the pool.

        :param rows: flat rows.
        :raises DatasetError: if the column that the scorer names does not exist.
        """
        needs = needs_of(self.scorer)
        facts: dict[str, Any] = {}
        if "topics" in needs:
            facts["topics"] = self._groups(rows)
        if "samples" in needs:
            columns = [name for name in self.reader.layout.columns if name in rows.columns]
            facts["samples"] = list(chain(*rows.tell(self.samples, columns=columns)))
        if "row_ids" in needs:
            facts["row_ids"] = _row_ids(rows)
        return facts

    def _groups(self, rows: Rows) -> NDArray[np.int64]:
        key = self.scorer.group_key  # type: ignore[attr-defined]
        field = Field.of(key, rows.columns, META)
        if field is None:
            raise DatasetError(
                f"{self.reader.operator}: there is no column '{key}' for the group_key; there are "
                f"{', '.join(map(repr, rows.columns))}."
            )
        values = list(chain(*rows.tell(field.tell_values, columns=[field.column])))
        try:
            return RowFacts(topics=values).topic_numbers
        except TypeError as error:
            raise DatasetError(
                f"{self.reader.operator}: the group_key '{key}' must hold a text or a number in every row ({error})."
            ) from error

    def prepare(
        self, vectors: NDArray[np.float32], facts: Mapping[str, Any], readable: NDArray[np.bool_] | None = None
    ) -> list[tuple[bool, Any]]:
        """Compare all rows with each other.

        :param vectors: (n, d) float32.
        :param facts: see `facts`.
        :param readable: (n,) which rows can be read; None: those with a vector other than zero.
        :return: for each row, whether it can be read, and what its score needs to know about the others.
        """
        if readable is None:
            readable = has_text(vectors)
        rows = np.flatnonzero(readable)
        with named(self.reader.operator):
            pool = Pool(
                vectors if len(rows) == len(vectors) else vectors[rows],
                target_samples=self.targets,
                **{name: _some(values, rows) for name, values in facts.items()},
            )
            known = prepared(self.scorer, pool) if len(rows) else ()
        found: list[tuple[bool, Any]] = [(False, None)] * len(vectors)
        for row, value in zip(rows.tolist(), known, strict=True):
            found[row] = True, value
        return found

    def score(self, table: pa.Table, known: Sequence[tuple[bool, Any]]) -> tuple[pa.Table, tuple[Counter[str], int]]:
        """Score the rows of a table.

        :param table: flat rows.
        :param known: result of `prepare` for these rows.
        :return: the rows with their scores; the number of rows without a score, by reason; and the number of rows that
            did not fit into the window of the scorer's model.
        """
        samples = self.reader.samples(table, self.view)
        asked = [(sample, value) for sample, (readable, value) in zip(samples, known, strict=True) if readable]
        values = [value for _, value in asked]
        cut_before = self._rows_cut
        with named(self.reader.operator):
            new = iter(pool_scores(self.scorer, [sample for sample, _ in asked], values))
            notes = iter(pool_notes(self.scorer, values))
        stats = tuple(self.scorer.measures.values())
        found = [next(new) if readable else (_UNREADABLE,) * len(stats) for readable, _ in known]
        encoder = {"encoder": repr(self.reader.encoder)} if self.needs_vectors else {}
        made_by = content_digest({"scorer": self.name, "reads": self.view, **self.scorer.identity(), **encoder})
        rows = [
            old | stat_entries(stats, scores, made_by) | (next(notes) if readable else {})
            for old, scores, (readable, _) in zip(stats_of(table), found, known, strict=True)
        ]
        missing = Counter(scores[0].status for scores in found if scores[0].value is None)
        scored = set_column(table, STATS, json_array(rows))
        dropped = [] if self.brings_embeddings else [EMBEDDING]
        left = scored.drop_columns([name for name in dropped if name in scored.column_names])
        return left, (missing, self._rows_cut - cut_before)

    @property
    def _rows_cut(self) -> int:
        return self.scorer.cut_rows.cut if isinstance(self.scorer, CuttingPoolScorer) else 0

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """Return the Arrow types of the new keys of the stats."""
        notes = self.scorer.note_stats if isinstance(self.scorer, NotingPoolScorer) else ()
        return {**stat_types(self.scorer.measures.values()), **dict.fromkeys(notes, pa.string())}

    def warning(self, known: Sequence[tuple[bool, Any]]) -> str:
        """Return a warning; empty if there is none.

        :param known: result of `prepare` for all rows.
        """
        if not isinstance(self.scorer, WarningPoolScorer):
            return ""
        with named(self.reader.operator):
            return self.scorer.warning([value for readable, value in known if readable])


def score_pool(rows: Rows, job: PoolScoreJob) -> tuple[Rows, dict[str, Any]]:
    """Score the rows of a dataset.

    :param rows: flat rows.
    :param job: how.
    :return: the rows with their stats, and the figures for the record.
    """
    facts = job.facts(rows)
    model = job.model_in("prepare")
    if job.needs_vectors:
        job = replace(job, reader=with_fitted_model(rows, job.reader))
        rows, found = rows.with_vectors(job.reader, drops_unreadable=False)
        known = rows.choose(partial(job.prepare, facts=facts), job.reader, model)
    else:
        columns = [name for name in job.reader.layout.columns if name in rows.columns]
        parts = list(rows.tell(job.readable, columns=columns))
        found = Readability.of_consecutive(counts for _, counts in parts)
        found.check(job.reader.operator, dropped=False)
        readable = np.concatenate([np.zeros(0, np.bool_), *(texts for texts, _ in parts)])
        none = np.zeros((len(readable), 0), np.float32)
        known = rows.once(partial(job.prepare, none, facts, readable), model)
    if warning := job.warning(known):
        logger.warning(f"{job.reader.operator}: {warning}")
    bounds = pairwise([0, *accumulate(rows.tell(_length))])
    scored, told = rows.map(
        job.score,
        each=(known[first:end] for first, end in bounds),
        features=_features,
        stats=job.types,
        model=job.model_in("score"),
    )
    unscored: Counter[str] = sum((reasons for reasons, _ in told), Counter())
    figures: dict[str, Any] = {"rows_in": len(rows), "rows_out": len(scored), "unscored": dict(unscored)}
    rows_cut = sum(cut for _, cut in told)
    if rows_cut and isinstance(job.scorer, CuttingPoolScorer):
        figures["rows_cut"] = rows_cut
        logger.warning(job.scorer.cut_rows.warning(rows_cut, len(rows)))
    return scored, {**figures, **found.figures(), **model_figures(job.reader)}


def _some(values: Any, rows: NDArray[np.int64]) -> Any:
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows.tolist()]


def _row_ids(rows: Rows) -> Sequence[str]:
    """Return the ids of flat rows: those that they bring, or those that a grouper would give them."""
    if ROW_ID in rows.columns:
        return list(chain(*rows.tell(_brought_ids, columns=[ROW_ID])))
    content = [name for name in rows.columns if is_content(name)]
    return number_duplicates(chain(*rows.tell(content_keys, columns=content)))


def _brought_ids(table: pa.Table) -> tuple[None, list[str]]:
    return None, [str(row_id) for row_id in table.column(ROW_ID).to_pylist()]


def _length(table: pa.Table) -> tuple[None, int]:
    return None, table.num_rows


def _features(features: Features) -> Features:
    return Features({**features, STATS: JSON})
