"""The merger on Ray: each block of topics has an LLM stage of its own, on whichever node the block is."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from loguru import logger
from ray.data import Dataset

from mergeit_ops.core.columns import STATS
from mergeit_ops.dataset.manifest import added_up
from mergeit_ops.distributed.blocks import Blocks, Resources
from mergeit_ops.distributed.journal import keep_journals


def merged(dataset: Dataset, operator: Any, layout: Any) -> tuple[Dataset, dict[str, Any], dict[str, Any]]:
    """Merge within topics and flatten them.

    :param dataset: topics, computed.
    :param operator: the merger.
    :param layout: layout of the samples.
    :return: flat rows, and the figures and details of the record of the run, added up over the tasks.
    :raises LLMError: if the LLM stage of a task had to stop.
    """
    topics = Blocks.of(dataset)
    resources = Resources.of(operator)
    tasks = min(len(topics.refs), resources.at_once())
    if operator.asks_a_server:
        each = operator.parameters["max_concurrency"]
        logger.info(
            f"{operator._name}: {sum(topics.rows)} topics in {len(topics.refs)} blocks, {tasks} at a time, each with "
            f"up to {each} requests in flight: {tasks * each} for the server. num_proc of the operator lowers the "
            "first, max_concurrency the second. max_total_tokens and max_failure_ratio hold per block."
        )
    keep_journals()
    flat, told = topics.map(_merge_block, operator, layout, resources=resources)
    figures = added_up(figures for figures, _ in told)
    figures["rows_out"] = sum(flat.rows)
    return flat.dataset(), figures, added_up(details for _, details in told)


def _merge_block(table: pa.Table, operator: Any, layout: Any) -> tuple[pa.Table, tuple[dict[str, Any], dict[str, Any]]]:
    flat, figures, details = operator.merge_block(table, layout)
    # Data-Juicer adds the column before the first filter of a recipe, whether it is there or not.
    return (flat if STATS in table.column_names else flat.drop_columns([STATS])), (figures, details)
