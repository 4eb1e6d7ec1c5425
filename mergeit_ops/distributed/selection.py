"""Selectors of topics on Ray: topics are independent, so each block of them selects for itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray

from mergeit_ops.core.budget import FIXED_BUDGETS, gain_budgets
from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.facility_location import Selection
from mergeit_ops.dataset.topics import Topic, table_topics, topic_table
from mergeit_ops.distributed.blocks import Blocks, Resources
from mergeit_ops.distributed.errors import own_errors

Chosen = Mapping[int, NDArray[np.int64]]
"""Topic to the positions of its chosen rows."""


def select_from_topics(blocks: Blocks, operator: Any, layout: Any) -> tuple[Blocks, dict[str, int]]:
    """Select within topics.

    :param blocks: topics.
    :param operator: the selector.
    :param layout: layout of the samples.
    :return: the topics with their chosen rows, and rows in, rows out and topics.
    """
    resources = Resources.of(operator).without_gpus()
    total = operator.select_num
    if total is None:
        selected, told = blocks.map(_select_topics, operator, layout, {}, resources=resources)
    elif operator.allocation in FIXED_BUDGETS:
        sizes = dict(sorted(pair for pairs in blocks.tell(_sizes, operator, layout) for pair in pairs))
        split = FIXED_BUDGETS[operator.allocation]
        budgets = dict(zip(sizes, split(list(sizes.values()), int(total)).tolist(), strict=True))
        selected, told = blocks.map(_select_topics, operator, layout, budgets, resources=resources)
    else:
        offers = blocks.map(_offer, operator, layout, int(total), resources=resources)[1]
        offered: dict[int, Selection] = dict(sorted(pair for pairs in offers for pair in pairs.items()))
        shares = gain_budgets([selection.gains for selection in offered.values()], int(total))
        chosen = {
            topic_id: selection.indices[:share]
            for (topic_id, selection), share in zip(offered.items(), shares, strict=True)
        }
        selected, told = blocks.map(_take, operator, layout, chosen)
    rows_in, rows_out = (sum(column) for column in zip(*told, strict=True))
    return selected, {"rows_in": rows_in, "rows_out": rows_out, "topics": sum(selected.rows)}


def _sizes(table: pa.Table, operator: Any, layout: Any) -> tuple[None, list[tuple[int, int]]]:
    return None, [
        (topic.topic_id, int(operator.readable_in(topic.table, layout).sum())) for topic in table_topics(table)
    ]


def _select_topics(
    table: pa.Table, operator: Any, layout: Any, budgets: Mapping[int, int]
) -> tuple[pa.Table | None, tuple[int, int]]:
    def choose(topic: Topic) -> NDArray[np.int64]:
        if budgets:
            budget = budgets[topic.topic_id]
        else:
            budget = operator.fixed_budget(int(operator.readable_in(topic.table, layout).sum()))
        return operator.offer(topic.table, layout, budget).indices

    return _take(table, operator, layout, {topic.topic_id: choose(topic) for topic in table_topics(table)})


def _offer(table: pa.Table, operator: Any, layout: Any, total: int) -> tuple[None, dict[int, Selection]]:
    return None, {
        topic.topic_id: operator.offer(topic.table, layout, total, with_gains=True) for topic in table_topics(table)
    }


def _take(table: pa.Table, operator: Any, layout: Any, chosen: Chosen) -> tuple[pa.Table | None, tuple[int, int]]:
    topics = list(table_topics(table))
    offered = [operator.kept(topic, layout, chosen[topic.topic_id]) for topic in topics]
    kept = [topic for topic in offered if topic is not None]
    rows_in = sum(topic.table.num_rows for topic in topics)
    if not kept:
        return None, (rows_in, 0)
    return topic_table(kept), (rows_in, sum(topic.table.num_rows for topic in kept))


def select_from_all(
    blocks: Blocks, marked: Blocks, operator: Any, layout: Any, keep_embeddings: bool
) -> tuple[Blocks, dict[str, int]]:
    """Select from a flat dataset as a whole: one task holds the embeddings of all rows, and nothing else of them.

    :param blocks: flat rows with embeddings.
    :param marked: the same rows, with zero vectors where the text cannot be read.
    :param operator: the selector.
    :param layout: layout of the samples.
    :param keep_embeddings: whether the chosen rows keep theirs.
    :return: the chosen rows, and rows in and rows out.
    """
    options = Resources.of(operator).without_gpus().options()
    with own_errors():
        shared = ray.put((operator, layout))
        vectors = [_vectors.remote(ref, shared, first) for ref, first in zip(marked.refs, marked.firsts, strict=True)]
        chosen = ray.get(_select_all.options(**options).remote(operator, *vectors))
    selected = take_chosen(blocks, chosen, () if keep_embeddings else (EMBEDDING,))
    return selected, {"rows_in": sum(blocks.rows), "rows_out": sum(selected.rows)}


def take_chosen(blocks: Blocks, chosen: NDArray[np.int64], dropped: Sequence[str] = ()) -> Blocks:
    """Return some rows of a flat dataset.

    :param blocks: flat rows.
    :param chosen: their positions among all rows, ascending.
    :param dropped: columns that the rows lose.
    """
    bounds = pairwise([*blocks.firsts, sum(blocks.rows)])
    parts = [chosen[slice(*np.searchsorted(chosen, [first, end]))] - first for first, end in bounds]
    return blocks.map(_take_rows, dropped, each=parts)[0]


@ray.remote
def _vectors(table: pa.Table, shared: tuple[Any, Any], first: int) -> NDArray[np.float32]:
    operator, layout = shared
    return operator.vectors_of(table.select([EMBEDDING]), layout, first)


@ray.remote
def _select_all(operator: Any, *vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    operator.check_widths(block.shape[1] for block in vectors)
    return operator.choose_from_all(np.concatenate(vectors))


def _take_rows(table: pa.Table, dropped: Sequence[str], positions: NDArray[np.int64]) -> tuple[pa.Table, None]:
    return table.drop_columns(list(dropped)).take(positions), None
