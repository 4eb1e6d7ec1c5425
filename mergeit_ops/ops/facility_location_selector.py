"""Keep the samples that represent all samples: facility location, per topic or over a flat dataset."""

from __future__ import annotations

from typing import Any, Optional

from data_juicer.ops.base_op import OPERATORS

from mergeit_ops.core.selection.budget import ALLOCATIONS
from mergeit_ops.core.selection.facility_location import METRICS, FacilityLocation
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL
from mergeit_ops.ops.constraints import OneOf
from mergeit_ops.ops.sample_operator import recipe_parameters
from mergeit_ops.ops.topic_selector import TOPIC_SELECTOR_CONSTRAINTS, TopicSelector

OP_NAME = "facility_location_selector"


@OPERATORS.register_module(OP_NAME)
class FacilityLocationSelector(TopicSelector):
    """Keep representatives: the samples that greedily maximise the facility-location objective.

    F(S) = sum over samples i of max over chosen j of sim(i, j) (MergeIT, stage 1). On topics it selects within each
    topic and topics come out; on a flat dataset it selects from the whole and keeps columns and order. submodlib does
    the greedy work where its wheels exist and rows are few, a lazy greedy of the same objective elsewhere. Above 8,000
    samples the objective stays within about 1 % of the exact greedy's, in memory that grows with the samples."""

    _constraints = {**TOPIC_SELECTOR_CONSTRAINTS, "allocation": OneOf(ALLOCATIONS), "metric": OneOf(METRICS)}

    def __init__(
        self,
        select_ratio: Optional[float] = None,
        num_per_topic: Optional[int] = None,
        select_num: Optional[int] = None,
        allocation: str = "proportional",
        metric: str = "cosine",
        keep_embeddings: bool = False,
        unreadable_rows: str = "keep",
        embedding_model: str = DEFAULT_EMBEDDING_MODEL,
        embedding_batch_size: Optional[int] = None,
        embedding_dtype: str = "auto",
        sample_format: str = "auto",
        instruction_key: Optional[str] = None,
        query_key: Optional[str] = None,
        response_key: Optional[str] = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        At most one of `select_ratio`, `num_per_topic` and `select_num` may be set; none of them means a ratio of 0.2,
        the paper's.

        :param select_ratio: share in (0, 1] to keep: max(1, round(ratio * size)) of each topic, or of a flat dataset.
        :param num_per_topic: samples to keep of each topic; smaller topics are kept whole. The released code has 75.
        :param select_num: samples to keep over all topics, split by `allocation`, or of a flat dataset.
        :param allocation: how `select_num` is split: `proportional` to topic sizes (largest remainder), in `equal`
            parts, or by marginal `gain`, which favours topics that are hard to represent.
        :param metric: `cosine`, or `euclidean`: submodlib's kernel exp(-distance / d), as in the released code.
        :param keep_embeddings: whether a flat selection keeps the column `mergeit_embedding`; topics always keep it.
        :param unreadable_rows: what to do with rows whose text cannot be read. Such rows take no part in the selection.
            `keep` keeps all of them, and they do not count toward the budget; `drop` drops them. If more than half of
            the rows cannot be read, the run stops.
        :param embedding_model: sentence-transformers model for samples that bring no embeddings.
        :param embedding_batch_size: maximum number of texts that are embedded at the same time on a CPU, where batches
            run in parallel; null: one batch per core. It does not change any embedding, because batches have a fixed
            shape.
        :param embedding_dtype: in what the model multiplies: `float32`, `bfloat16`, or `auto`: bfloat16 where the
            device has instructions for it (x86 with AMX or AVX-512 bf16, recent GPUs): twice as fast there, at a cosine
            of 0.9999 to float32.
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
        self.metric = metric

    @property
    def method(self) -> FacilityLocation:
        """Return facility location with the recipe's metric."""
        return FacilityLocation(self.metric)  # type: ignore[arg-type]
