"""Scorers that compare a row with all others: one file each, behind one Protocol, looked up by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.core.selection.method import Need, Pool
from mergeit_ops.core.text.counts import many
from mergeit_ops.errors import ScorerError
from mergeit_ops.scorers.cut_rows import CutRows
from mergeit_ops.scorers.scoring import checked_list, checked_rows, scorer_errors

__all__ = [
    "POOL_SCORERS",
    "CuttingPoolScorer",
    "ModelPoolScorer",
    "NotingPoolScorer",
    "PoolScorer",
    "WarningPoolScorer",
    "check_pairwise",
    "needs_of",
    "pool_notes",
    "pool_scores",
    "prepared",
]

POOL_SCORERS: Mapping[str, str] = {
    "knn_distance": "mergeit_ops.scorers.knn_distance:KnnDistance",
    "row_variance": "mergeit_ops.scorers.row_variance:RowVariance",
    "miwv": "mergeit_ops.scorers.miwv:Miwv",
    "prompt_uncertainty": "mergeit_ops.scorers.task_uncertainty:TaskUncertainty",
    "nuggets": "mergeit_ops.scorers.nuggets:Nuggets",
}
"""Maps the name in a recipe to `module:Class`. To add a scorer, add one file and one line here."""


_MOST_PAIRWISE_ROWS = 200_000


class PoolScorer(Protocol):
    """Scores each row in comparison with the whole set. An instance is small, because it is sent to the workers of a
    cluster.

    The attribute `needs` names the parts of the pool that are filled: `vectors` (rows without vectors are embedded);
    `samples`; `row_ids`; `topics`, from the column in the attribute `group_key`; `target_samples`, the rows of the file
    in the attribute `target_path`. Without `needs`, a scorer gets the vectors.
    """

    measures: Mapping[str, str]
    """Maps the name of each measure to the key of its stat."""

    def identity(self) -> Mapping[str, Any]:
        """Return everything except the rows that affects a score (models, parameters) as plain data."""
        ...

    def prepare(self, pool: Pool) -> Sequence[Any]:
        """Return what the score of each row needs to know about the others. Called once, with all rows.

        :param pool: n rows, n >= 1. If the scorer does not need vectors, they have width 0.
        :return: n values that can be pickled.
        :raises ScorerError: if there are more rows than the scorer is meant for.
        """
        ...

    def score(self, samples: Sequence[Sample], known: Sequence[Any]) -> list[tuple[Score, ...]]:
        """Score some of the rows.

        :param samples: m of them.
        :param known: what `prepare` returned for them.
        :return: m tuples with a score for each of `measures`.
        """
        ...


@runtime_checkable
class ModelPoolScorer(Protocol):
    """A scorer that runs a model of this machine. On a cluster, tasks that call it have GPUs, or a whole node each."""

    model_step: Literal["prepare", "score"]
    """The method that runs the model."""

    device: str | None
    """Torch device of the model; None takes a GPU if there is one."""


@runtime_checkable
class NotingPoolScorer(Protocol):
    """A scorer that also writes texts about a row."""

    note_stats: Sequence[str]
    """Key of the stat of each text."""

    def notes(self, known: Sequence[Any]) -> list[tuple[str | None, ...]]:
        """Return the texts about some of the rows.

        :param known: what `prepare` returned for m rows.
        :return: m tuples with a text, or None, for each of `note_stats`.
        """
        ...


@runtime_checkable
class CuttingPoolScorer(PoolScorer, Protocol):
    """A scorer whose model reads only a part of rows that are too long."""

    cut_rows: CutRows
    """Counts them in `score`."""


@runtime_checkable
class WarningPoolScorer(Protocol):
    """A scorer that may warn about the whole set."""

    def warning(self, known: Sequence[Any]) -> str:
        """Return a warning about all rows; empty if there is none.

        :param known: what `prepare` returned for all rows.
        """
        ...


def check_pairwise(name: str, rows: int) -> None:
    """Check that the rows can be compared pair by pair.

    :param name: name of the scorer.
    :param rows: number of rows.
    :raises ScorerError: if there are more than 200,000 rows, which take about ten minutes on two cores.
    """
    if rows > _MOST_PAIRWISE_ROWS:
        raise ScorerError(
            f"{name} compares every row with every other and is meant for up to {_MOST_PAIRWISE_ROWS:,} rows; there "
            f"are {rows:,}. Select fewer rows before it."
        )


def needs_of(scorer: PoolScorer) -> frozenset[Need]:
    """Return what a scorer needs to know about the rows."""
    return frozenset(getattr(scorer, "needs", ("vectors",)))


def pool_notes(scorer: PoolScorer, known: Sequence[Any]) -> list[dict[str, str | None]]:
    """Return the texts that a scorer writes about rows, by the key of their stat; see `NotingPoolScorer.notes`.

    :raises ScorerError: if the scorer fails or breaks its contract.
    """
    if not isinstance(scorer, NotingPoolScorer):
        return [{} for _ in known]
    with scorer_errors(scorer):
        return [
            dict(zip(scorer.note_stats, texts, strict=True))
            for _, texts in zip(known, scorer.notes(known), strict=True)
        ]


def prepared(scorer: PoolScorer, pool: Pool) -> list[Any]:
    """Return what the score of each row needs to know about the others; see `PoolScorer.prepare`.

    :raises ScorerError: if the scorer fails or breaks its contract.
    """
    with scorer_errors(scorer):
        known = checked_list(scorer, scorer.prepare(pool))
    if len(known) != len(pool.vectors):
        raise ScorerError(
            f"the scorer {type(scorer).__name__} prepared {many(len(known), 'value')} for "
            f"{many(len(pool.vectors), 'row')}; it must prepare one for each."
        )
    return known


def pool_scores(scorer: PoolScorer, samples: Sequence[Sample], known: Sequence[Any]) -> list[tuple[Score, ...]]:
    """Return the scores of rows; see `PoolScorer.score`.

    :raises ScorerError: if the scorer fails or breaks its contract.
    """
    with scorer_errors(scorer):
        found = scorer.score(samples, known)
    return checked_rows(scorer, found, len(samples), len(scorer.measures))
