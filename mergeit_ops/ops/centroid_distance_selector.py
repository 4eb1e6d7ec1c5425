"""Keep the samples farthest from the centroid of their topic: the K-means baseline of the MergeIT paper."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
from data_juicer.ops.base_op import OPERATORS
from numpy.typing import NDArray

from mergeit_ops.core.centroid_distance import farthest_rows
from mergeit_ops.core.facility_location import Selection
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL
from mergeit_ops.ops.constraints import OneOf
from mergeit_ops.ops.sample_operator import recipe_parameters
from mergeit_ops.ops.topic_selector import TOPIC_SELECTOR_CONSTRAINTS, TopicSelector

OP_NAME = "centroid_distance_selector"


@OPERATORS.register_module(OP_NAME)
class CentroidDistanceSelector(TopicSelector):
    """Keep outliers: the samples of each topic whose embeddings are farthest from their mean, by Euclidean distance.

    A baseline of the MergeIT paper: 120 clusters of K-means, and the same number of rows from the rim of each. Put
    `topic_cluster_grouper` with `num_clusters: 120` and `pca_variance: null` before it, so that the mean is K-means'
    own centroid. On topics it selects within each topic and topics come out; on a flat dataset it selects from the
    whole and keeps columns and order."""

    _constraints = {**TOPIC_SELECTOR_CONSTRAINTS, "allocation": OneOf(("equal", "proportional"))}

    def __init__(
        self,
        select_ratio: Optional[float] = None,
        num_per_topic: Optional[int] = None,
        select_num: Optional[int] = None,
        allocation: str = "equal",
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

        At most one of `select_ratio`, `num_per_topic` and `select_num` may be set; none of them means a ratio of 0.2.

        :param select_ratio: share in (0, 1] to keep: max(1, round(ratio * size)) of each topic, or of a flat dataset.
        :param num_per_topic: samples to keep of each topic; smaller topics are kept whole.
        :param select_num: samples to keep over all topics, split by `allocation`, or of a flat dataset.
        :param allocation: how `select_num` is split: in `equal` parts, as in the paper, what small topics cannot use
            going to the others; or `proportional` to topic sizes (largest remainder).
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

    def choose(self, vectors: NDArray[np.float32], budget: int) -> Selection:
        """Choose the rows farthest from the mean of all."""
        return Selection(*farthest_rows(vectors, budget))
