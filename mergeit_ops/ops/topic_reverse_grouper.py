"""Flatten topics to samples."""

from __future__ import annotations

from typing import Any

from data_juicer.ops.base_op import OPERATORS, Grouper, Pipeline
from datasets import Dataset

from mergeit_ops.constraints import FLAG
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.flattening import FlatteningJob, flatten_topics
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.sample_operator import SAMPLE_CONSTRAINTS, SampleOperator

OP_NAME = "topic_reverse_grouper"


@OPERATORS.register_module(OP_NAME)
class TopicReverseGrouper(SampleOperator, Grouper, Pipeline):
    """Flatten topics to samples, for recipes that select without merging.

    Samples come out by topic, then in the order of the input. `topic_id` and `row_id` go to `__dj__meta__`; all other
    columns stay as they were before grouping."""

    # Otherwise Data-Juicer's partitioned Ray executor would run it on each partition.
    is_global_operation = True
    _constraints = {**SAMPLE_CONSTRAINTS, "keep_embeddings": FLAG}
    takes = "topics"
    gives_ids = True
    kind = "flattener"

    def __init__(
        self,
        keep_embeddings: bool = False,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param keep_embeddings: whether the samples keep the column `mergeit_embedding`.
        :param args: extra args
        :param kwargs: extra args
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        self.keep_embeddings = keep_embeddings

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None) -> Dataset:
        """Flatten topics.

        :param dataset: topics.
        :param exporter: not used.
        :param tracer: not used; Data-Juicer does not trace groupers.
        :return: flat samples.
        :raises DatasetError: if the rows are not topics.
        """
        with self.recorded() as manifest:
            rows = self.rows_of(dataset, same_types=False)
            if is_ray_dataset(dataset) and not len(rows):
                manifest.figures |= {"rows_in": 0, "rows_out": 0}
                return rows.dataset
            if not rows.grouped:
                raise DatasetError(
                    f"{self._name}: the rows are flat samples already; this operator flattens the topics of "
                    "topic_cluster_grouper."
                )
            flat, left = flatten_topics(rows, FlatteningJob(self._name, self.keep_embeddings))
            manifest.figures |= {"topics": len(rows), "rows_out": len(flat)}
            manifest.details["left"] = left
        return flat.dataset
