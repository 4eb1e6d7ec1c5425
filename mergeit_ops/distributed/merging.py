"""The merger on Ray: each block of topics has an LLM stage of its own, on whichever node the block is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from loguru import logger
from ray.data import Dataset

from mergeit_ops.core.columns import BATCH_META, STATS
from mergeit_ops.dataset.manifest import Manifest, added_up
from mergeit_ops.dataset.topics import table_topics
from mergeit_ops.distributed.blocks import Blocks, Resources
from mergeit_ops.distributed.budget import BudgetPlace, share_budgets, spend_from
from mergeit_ops.distributed.journal import keep_journals
from mergeit_ops.errors import LLMError
from mergeit_ops.llm.learnt import Learnt


def merged(dataset: Dataset, operator: Any, layout: Any, manifest: Manifest) -> Dataset:
    """Merge within topics and flatten them.

    :param dataset: topics, computed.
    :param operator: the merger.
    :param layout: layout of the samples.
    :param manifest: takes the figures and details of all tasks.
    :return: flat rows.
    :raises LLMError: if the LLM stage of a task had to stop, or too many merges of all tasks have failed.
    """
    topics = Blocks.of(dataset)
    resources = Resources.of(operator)
    if operator.runs_a_model:
        resources = resources.for_a_model(on_gpu=operator.may_use_gpu)
    tasks = min(len(topics.refs), resources.at_once())
    if operator.asks_a_server:
        each = operator.parameters["max_concurrency"]
        logger.info(
            f"{operator._name}: {sum(topics.rows)} topics in {len(topics.refs)} blocks, {tasks} at a time, each with "
            f"up to {each} requests in flight: the server sees up to {tasks * each}. To lower this number, set "
            "num_proc (blocks at a time) or max_concurrency (requests of each block)."
        )
    heard: list[_Told] = []
    usage: dict[str, Any] = {}
    # Each task has an engine of its own. It begins with what those before it have learnt of the server.
    known = [Learnt() for _ in operator.engines]

    def hear(news: _Told) -> None:
        nonlocal usage
        heard.append(news)
        usage = added_up([usage, news.details.get("usage", {})])
        for one, learnt in zip(known, news.learnt, strict=True):
            one.add(learnt)
        if news.error is not None:
            raise operator.told_of_all(news.error, usage)
        operator.check_failures(usage, at_end=False)

    try:
        flat, _ = topics.map(
            _merge_block,
            operator,
            layout,
            share_budgets(operator.engines),
            each=(known for _ in topics.refs),
            resources=resources,
            journals=keep_journals(),
            # The limit of requests, and the loss when the driver is killed, are per task.
            in_advance=1,
            on_told=hear,
        )
        operator.check_failures(usage, at_end=True)
    finally:
        # Also of a run that had to stop: what it cost is on record.
        manifest.figures |= added_up(news.figures for news in heard)
        manifest.details |= added_up(news.details for news in heard)
    manifest.figures["rows_out"] = sum(flat.rows)
    return flat.dataset()


def types_in_topics(dataset: Dataset) -> Mapping[str, pa.DataType]:
    """Return the columns of the samples inside topics, and their types."""
    schema = dataset.schema()
    return {
        name: kind.value_type if pa.types.is_list(kind) or pa.types.is_large_list(kind) else kind
        for name, kind in zip(schema.names, schema.types, strict=True)
        if name != BATCH_META
    }


def values_in_topics(dataset: Dataset, column: str) -> Iterator[pa.Table]:
    """Yield the values of a column of the samples inside topics, as tables.

    :param dataset: topics, computed.
    :param column: its name.
    """
    for block in dataset.select_columns([column]).iter_batches(batch_format="pyarrow"):
        for topic in table_topics(block):
            yield topic.table


def columns_emptied_on_ray(dataset: Dataset, operator: Any, layout: Any, columns: Sequence[str]) -> Counter[str]:
    """Return how many merges would empty each of some columns; see the merger's method.

    :param dataset: topics, computed.
    :param operator: the merger.
    :param layout: layout of the samples.
    :param columns: names of columns.
    """
    total: Counter[str] = Counter()
    for counts in Blocks.of(dataset).tell(_emptied_in_block, operator, layout, list(columns)):
        total.update(counts)
    return total


def _emptied_in_block(table: pa.Table, operator: Any, layout: Any, columns: Sequence[str]) -> tuple[None, Counter[str]]:
    return None, operator.columns_emptied(lambda: table_topics(table), layout, columns)[0]


@dataclass(frozen=True)
class _Told:
    """What a task tells the driver: figures and details of the record, what it has learnt of the server, and why it
    stopped, where it did."""

    figures: dict[str, Any]
    details: dict[str, Any]
    learnt: list[Learnt]
    error: LLMError | None = None


def _merge_block(
    table: pa.Table, operator: Any, layout: Any, budgets: BudgetPlace, known: Sequence[Learnt]
) -> tuple[pa.Table | None, _Told]:
    spend_from(budgets, operator.engines)
    for engine, learnt in zip(operator.engines, known, strict=True):
        learnt.tell(engine)
    flat, figures, details, error = operator.merge_block(table, layout)
    if flat is not None and STATS not in table.column_names:
        # Data-Juicer adds the column before the first filter of a recipe, whether it is there or not.
        flat = flat.drop_columns([STATS])
    return flat, _Told(figures, details, [Learnt.by(engine) for engine in operator.engines], error)
