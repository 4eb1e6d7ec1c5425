"""Flatten topics to samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Optional

import pyarrow as pa
from data_juicer.ops.base_op import OPERATORS, Grouper, Pipeline
from datasets import Dataset, Features

from mergeit_ops.core.columns import BATCH_META, EMBEDDING, META, ROW_ID
from mergeit_ops.core.lineage import ROW_ID as META_ROW_ID
from mergeit_ops.core.lineage import TOPIC_ID
from mergeit_ops.dataset.tables import JSON, json_array, python_rows, set_column, write_dataset
from mergeit_ops.dataset.topics import Topic, flat_features, is_grouped, iter_topics, table_topics
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.errors import DatasetError
from mergeit_ops.ops.constraints import FLAG
from mergeit_ops.ops.sample_operator import SAMPLE_CONSTRAINTS, SampleOperator, recipe_parameters

OP_NAME = "topic_reverse_grouper"


@OPERATORS.register_module(OP_NAME)
class TopicReverseGrouper(SampleOperator, Grouper, Pipeline):
    """Flatten topics to samples, for recipes that select without merging.

    Samples come out by topic, then in the order of the input. `topic_id` and `row_id` go to `__dj__meta__`; all other
    columns are as they were before grouping."""

    # Otherwise Data-Juicer's partitioned Ray executor would run it on each partition.
    is_global_operation = True
    _constraints = {**SAMPLE_CONSTRAINTS, "keep_embeddings": FLAG}
    takes = "topics"

    def __init__(
        self,
        keep_embeddings: bool = False,
        sample_format: str = "auto",
        instruction_key: Optional[str] = None,
        query_key: Optional[str] = None,
        response_key: Optional[str] = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param keep_embeddings: whether the samples keep the column `mergeit_embedding`.
        :param sample_format: layout of the samples: `auto`, `alpaca`, `query_response`, `messages`, `sharegpt` or
            `prompt_completion`.
        :param instruction_key: column of the instruction; null: `instruction`, or `prompt` in `prompt_completion`.
        :param query_key: column of the optional input; null: `input` (Alpaca) or `query` (Data-Juicer's layout).
        :param response_key: column of the response; null: `output` (Alpaca), `response` (Data-Juicer's layout) or
            `completion` (`prompt_completion`).
        :param args: extra args
        :param kwargs: extra args
        """
        super().__init__(recipe_parameters(locals()), *args, **kwargs)
        self.keep_embeddings = keep_embeddings

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None) -> Dataset:
        """Flatten topics.

        :param dataset: topics.
        :param exporter: not used.
        :param tracer: not used; Data-Juicer does not trace groupers.
        :return: flat samples.
        :raises DatasetError: if the rows are no topics.
        """
        if is_ray_dataset(dataset):
            return self._run_on_ray(dataset)
        self.check_arrival(len(dataset))
        self._check(grouped=is_grouped(dataset.features))
        features = flat_features(dataset.features)
        dropped = {ROW_ID} if self.keep_embeddings else {ROW_ID, EMBEDDING}
        kept = {name: feature for name, feature in features.items() if name not in dropped}
        with self.recorded() as manifest:
            left: list[str] = []
            flat = write_dataset(self.flatten(iter_topics(dataset), left), Features({**kept, META: JSON}))
            manifest.figures |= {"topics": len(dataset), "rows_out": len(flat)}
            manifest.details["left"] = left
        return flat

    def _check(self, grouped: bool) -> None:
        if not grouped:
            raise DatasetError(
                f"{self._name}: the rows are flat samples already; this operator flattens the topics of "
                "topic_cluster_grouper."
            )

    def _run_on_ray(self, dataset: Any) -> Any:
        from mergeit_ops.distributed.blocks import Blocks, Resources, materialized

        with self.recorded() as manifest:
            dataset = materialized(dataset)
            if not self.check_arrival(dataset.count()):
                manifest.figures |= {"rows_in": 0, "rows_out": 0}
                return dataset
            self._check(grouped=BATCH_META in dataset.columns())
            topics = Blocks.of(dataset)
            flat, left = topics.map(_flatten_block, self, resources=Resources.of(self))
            manifest.figures |= {"topics": sum(topics.rows), "rows_out": sum(flat.rows)}
            manifest.details["left"] = [row_id for of_block in left for row_id in of_block]
        return flat.dataset()

    def flatten(self, topics: Iterable[Topic], left: list[str]) -> Iterator[pa.Table]:
        """Yield the samples of each topic, with their topic and id in the metadata.

        :param topics: topics.
        :param left: takes the row ids.
        """
        dropped = [ROW_ID] if self.keep_embeddings else [ROW_ID, EMBEDDING]
        seen: Counter[str] = Counter()
        for topic in topics:
            row_ids = self.row_ids_of(topic.table, seen)
            left += row_ids
            table = set_column(topic.table, META, json_array(self._metadata(topic, row_ids)))
            yield table.drop_columns([name for name in dropped if name in table.column_names])

    def _metadata(self, topic: Topic, row_ids: Sequence[str]) -> Iterator[dict[str, Any]]:
        if META in topic.table.column_names:
            before = [row[META] or {} for row in python_rows(topic.table.select([META]))]
        else:
            before = [{}] * len(row_ids)
        for meta, row_id in zip(before, row_ids, strict=True):
            yield meta | {TOPIC_ID: topic.topic_id, META_ROW_ID: row_id}


def _flatten_block(table: pa.Table, operator: TopicReverseGrouper) -> tuple[pa.Table, list[str]]:
    left: list[str] = []
    return pa.concat_tables(operator.flatten(table_topics(table), left), promote_options="default"), left
