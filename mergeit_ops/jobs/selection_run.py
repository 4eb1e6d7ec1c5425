"""Run a selection over topics or over a flat dataset."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, chain, pairwise
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from datasets import Features
from loguru import logger
from numpy.typing import NDArray

from mergeit_ops.core.columns import EMBEDDING, ROW_ID, STATS, is_content
from mergeit_ops.core.rows.identity import number_duplicates
from mergeit_ops.core.selection.budget import gain_budgets
from mergeit_ops.core.selection.taylor import graph_cut, taylor_budgets
from mergeit_ops.dataset.readability import Readability
from mergeit_ops.dataset.stats import stats_of
from mergeit_ops.dataset.tables import JSON, json_array, set_column
from mergeit_ops.dataset.topics import flat_features, topic_features
from mergeit_ops.jobs.choice import Choice
from mergeit_ops.jobs.part_selection import select_from_parts
from mergeit_ops.jobs.row_facts import RowFacts
from mergeit_ops.jobs.row_keys import identity_keys
from mergeit_ops.jobs.rows import Rows
from mergeit_ops.jobs.selection import SelectionJob
from mergeit_ops.jobs.static_model import model_figures

__all__ = ["select_from_all", "select_from_topics"]

T = TypeVar("T")


TWINS = "left_out_for"
"""Key of the record for pairs of ids: a row that a bound has left out, and the row that it is too similar to."""

_TYPES: Mapping[type, pa.DataType] = {float: pa.float64(), int: pa.int64(), str: pa.string()}


def select_from_topics(rows: Rows, job: SelectionJob) -> tuple[Rows, dict[str, Any], dict[str, Any]]:
    """Select within topics.

    :param rows: topics.
    :param job: the selection.
    :return: the topics with their chosen rows, and the figures and details for the record.
    """
    job = job.found(rows).with_model(rows)
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
    details = {TWINS: choice.twins} if job.names_left_out else {}
    return selected, {**figures, **choice.figures(), **found.figures()}, details


def select_from_all(
    rows: Rows, job: SelectionJob, keep_embeddings: bool
) -> tuple[Rows, dict[str, Any], dict[str, Any]]:
    """Select from a whole flat dataset.

    :param rows: flat rows.
    :param job: the selection.
    :param keep_embeddings: whether the chosen rows keep the embeddings that they bring.
    :return: the chosen rows, in their order, and the figures and details for the record.
    """
    job = job.found(rows).with_model(rows)
    if job.tokens_of is None:
        job.check_size(len(rows), job.budget.of_flat(len(rows)))
    job, numbers = job.prepared(rows)
    facts = job.facts_of_all(rows, numbers)
    if facts.chosen is not None and job.tokens_of is None:
        # Checked before rows are embedded, some of which may be unreadable.
        budget = job.budget.of_flat(len(rows))
        if facts.chosen.sum() > budget:
            job.refuse_chosen(int(facts.chosen.sum()), len(rows), budget)
    if job.needs_vectors:
        with_vectors, found = rows.with_vectors(job.reader, drops_unreadable=not job.keeps_unreadable)
        chosen, choice, divided = _chosen_by_vectors(with_vectors, job, facts)
    else:
        read = [name for name in job.reader.layout.columns if name in rows.columns]
        with_vectors, found = rows, Readability.of_consecutive(rows.tell(job.flat_readability, columns=read))
        found.check(job.reader.operator, dropped=not job.keeps_unreadable)
        (chosen, choice), divided = job.from_all(None, facts), {}
    dropped = () if keep_embeddings and EMBEDDING in rows.columns else (EMBEDDING,)
    selected = with_vectors.take(chosen, dropped)
    if job.method.stats:
        selected = _with_stats(selected, job.method.stats, choice.stats)
    details = {TWINS: _twins(rows, choice)} if job.names_left_out else {}
    figures = {"rows_in": len(rows), "rows_out": len(selected), **divided, **choice.figures(), **found.figures()}
    return selected, figures | model_figures(job.reader), details


def _chosen_by_vectors(
    rows: Rows, job: SelectionJob, facts: RowFacts
) -> tuple[NDArray[np.int64], Choice, dict[str, Any]]:
    """Return the positions of the rows to keep, the choice, and the figures of the partitions if there are any."""
    most = job.method.most_rows
    partitions = 1 if most is None else math.ceil(len(rows) / most)
    parts = rows.parts(job.reader, partitions) if partitions > 1 else None
    if parts is None:
        return *rows.choose(partial(job.from_all, facts=facts), job.reader), {}
    logger.info(
        f"{job.reader.operator}: {len(rows):,} samples are divided into {partitions:,} partitions (partition_rows: "
        f"{most:,}). {job.method.in_partitions}."
    )
    chosen, choice, figures = select_from_parts(parts, job, facts)
    return chosen, choice, {"partitions": partitions, **figures}


def _twins(rows: Rows, choice: Choice) -> Sequence[tuple[str, str]]:
    if not choice.left_out.size:
        return []
    read = [name for name in rows.columns if name == ROW_ID or is_content(name)]
    row_ids = number_duplicates(chain.from_iterable(rows.tell(identity_keys, columns=read)))
    return choice.with_twins(row_ids).twins


def _with_stats(rows: Rows, types: Mapping[str, type], stats: Mapping[str, Sequence[Any]]) -> Rows:
    """Return flat rows with further stats.

    :param rows: the rows.
    :param types: Python types of the stats.
    :param stats: a value for each row, by stat; None if the row has none.
    """
    bounds = pairwise([0, *accumulate(rows.tell(_length))])
    parts = ({name: values[first:end] for name, values in stats.items()} for first, end in bounds)
    found, _ = rows.map(
        _add_stats, each=parts, features=_stats_features, stats={n: _TYPES[t] for n, t in types.items()}
    )
    return found


def _length(table: pa.Table) -> tuple[None, int]:
    return None, table.num_rows


def _add_stats(table: pa.Table, stats: Mapping[str, Sequence[Any]]) -> tuple[pa.Table, None]:
    new = [dict(zip(stats, values, strict=True)) for values in zip(*stats.values(), strict=True)]
    # Rows without a value do not get the key.
    rows = [
        old | {name: value for name, value in own.items() if value is not None}
        for old, own in zip(stats_of(table), new or [{}] * table.num_rows, strict=True)
    ]
    return set_column(table, STATS, json_array(rows)), None


def _stats_features(features: Features) -> Features:
    return Features({**features, STATS: JSON})


def _kept_share(rows: Rows, job: SelectionJob, total: int) -> float:
    available = sum(size for told in rows.tell(job.sizes) for _, (size, _) in told)
    return min(1.0, total / max(1, available))


def _budgets_by_centres(topics: Sequence[tuple[int, NDArray[np.float64]]], total: int) -> list[int]:
    """Return how many rows each topic keeps under the allocation `taylor`.

    :param topics: the rows to choose from and the mean vector of each topic.
    :param total: rows to keep over all topics.
    """
    sizes = [size for size, _ in topics]
    order, gains = graph_cut(np.stack([centre for _, centre in topics])) if topics else ([], np.zeros(0))
    budgets = np.zeros(len(topics), dtype=np.int64)
    budgets[order] = taylor_budgets(gains, [sizes[topic] for topic in order], total)
    return [int(budget) for budget in budgets]


def _features(features: Features) -> Features:
    return topic_features(flat_features(features))


def _ordered(told: Sequence[Sequence[tuple[int, T]]]) -> tuple[list[T], list[int]]:
    """Return the reports about topics in the order of their ids, and the place of each topic in that order.

    On a cluster, topics are in blocks in any order. With this, a total is split in the same way in every order.
    """
    flat = [pair for part in told for pair in part]
    order = sorted(range(len(flat)), key=lambda number: flat[number][0])
    places = np.argsort(order).tolist() if order else []
    return [flat[number][1] for number in order], places


def _placed(values: Sequence[T], places: Sequence[int], told: Sequence[Sequence[object]]) -> list[list[T]]:
    """Return the values of topics by table, given in the order of the ids."""
    bounds = pairwise([0, *accumulate(map(len, told))])
    return [[values[places[number]] for number in range(first, end)] for first, end in bounds]
