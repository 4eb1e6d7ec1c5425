"""Flatten topics to samples."""

from __future__ import annotations

from typing import Any, Optional

from data_juicer.ops.base_op import OPERATORS, Grouper, Pipeline
from datasets import Dataset

from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.flattening import FlatteningJob, flatten_topics
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
    gives_ids = True
    kind = "flattener"

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
        with self.recorded() as manifest:
            rows = self.rows_of(dataset, same_types=False)
            if is_ray_dataset(dataset) and not len(rows):
                manifest.figures |= {"rows_in": 0, "rows_out": 0}
                return dataset
            if not rows.grouped:
                raise DatasetError(
                    f"{self._name}: the rows are flat samples already; this operator flattens the topics of "
                    "topic_cluster_grouper."
                )
            flat, left = flatten_topics(rows, FlatteningJob(self._name, self.keep_embeddings))
            manifest.figures |= {"topics": len(rows), "rows_out": len(flat)}
            manifest.details["left"] = left
        return flat.dataset
