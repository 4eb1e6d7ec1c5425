"""Flatten topics into samples with topic and id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pyarrow as pa
from datasets import Features

from mergeit_ops.core.columns import EMBEDDING, META, ROW_ID
from mergeit_ops.core.rows.lineage import ROW_ID as META_ROW_ID
from mergeit_ops.core.rows.lineage import TOPIC_ID
from mergeit_ops.dataset.tables import JSON, json_array, python_rows, set_column
from mergeit_ops.dataset.topics import Topic, flat_features, table_topics
from mergeit_ops.jobs.row_ids import row_ids
from mergeit_ops.jobs.rows import Rows

__all__ = ["FlatteningJob", "flatten_topics"]


@dataclass(frozen=True)
class FlatteningJob:
    """Flattening of topics.

    :param operator: registry name of the operator.
    :param keep_embeddings: whether samples keep the column `mergeit_embedding`.
    """

    operator: str
    keep_embeddings: bool = False

    def flatten(self, table: pa.Table, seen: Counter[str]) -> tuple[pa.Table, list[str]]:
        """Return the samples of topics, with topic and id in their metadata, and their ids.

        :param table: topics.
        :param seen: how often each id occurred in the tables before; updated.
        """
        ids: list[str] = []
        return pa.concat_tables(self._samples(table, ids, seen), promote_options="default"), ids

    def features(self, topics: Features) -> Features:
        """Return columns and types of the samples, from those of the topics."""
        kept = {name: feature for name, feature in flat_features(topics).items() if name not in self._dropped}
        return Features({**kept, META: JSON})

    @property
    def _dropped(self) -> frozenset[str]:
        return frozenset({ROW_ID} if self.keep_embeddings else {ROW_ID, EMBEDDING})

    def _samples(self, table: pa.Table, ids: list[str], seen: Counter[str]) -> Iterator[pa.Table]:
        for topic in table_topics(table):
            own = row_ids(topic.table, seen, self.operator)
            ids += own
            metas = _metadata(topic)
            metas = [
                meta | {TOPIC_ID: topic.topic_id, META_ROW_ID: row_id} for meta, row_id in zip(metas, own, strict=True)
            ]
            samples = set_column(topic.table, META, json_array(metas))
            yield samples.drop_columns([name for name in samples.column_names if name in self._dropped])


def flatten_topics(rows: Rows, job: FlatteningJob) -> tuple[Rows, list[str]]:
    """Flatten topics.

    :param rows: topics.
    :param job: how.
    :return: samples by topic, in the order of the input, and their ids.
    """
    flat, ids = rows.map(job.flatten, Counter(), features=job.features)
    return flat, list(chain.from_iterable(ids))


def _metadata(topic: Topic) -> list[dict[str, Any]]:
    if META not in topic.table.column_names:
        return [{}] * topic.table.num_rows
    return [row[META] or {} for row in python_rows(topic.table.select([META]))]
