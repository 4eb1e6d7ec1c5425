"""Keep samples that differ from each other, by a method of the literature."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Optional

from data_juicer.ops.base_op import OPERATORS

from mergeit_ops.core.selection import DIVERSITY_METHODS
from mergeit_ops.core.selection.budget import FIXED_BUDGETS
from mergeit_ops.core.selection.k_center import STARTS
from mergeit_ops.core.selection.method import SelectionMethod
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL
from mergeit_ops.ops.constraints import Number, OneOf
from mergeit_ops.ops.sample_operator import recipe_parameters
from mergeit_ops.ops.topic_selector import TOPIC_SELECTOR_CONSTRAINTS, TopicSelector

OP_NAME = "diversity_selector"


@OPERATORS.register_module(OP_NAME)
class DiversitySelector(TopicSelector):
    """Keep samples that differ from each other, by their embeddings.

    `k_center`: each sample is the one farthest from all chosen before it, so that no sample is far from all chosen ones
    (core-set selection; it seeks outliers). `centroid_distance`: the samples farthest from the mean of their topic, a
    baseline of the MergeIT paper: for it, put `topic_cluster_grouper` with `num_clusters: 120` and `pca_variance: null`
    before this operator, so that the mean is K-means' own centroid. On topics it selects within each topic and topics
    come out; on a flat dataset it selects from the whole and keeps columns and order."""

    _constraints = {
        **TOPIC_SELECTOR_CONSTRAINTS,
        "allocation": OneOf(tuple(FIXED_BUDGETS)),
        "method": OneOf(tuple(DIVERSITY_METHODS)),
        "start": OneOf(STARTS),
        "seed": Number(low=0, high=2**32 - 1, integer=True),
    }

    def __init__(
        self,
        method: str = "k_center",
        select_ratio: Optional[float] = None,
        num_per_topic: Optional[int] = None,
        select_num: Optional[int] = None,
        allocation: str = "proportional",
        start: str = "centroid",
        seed: int = 42,
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

        :param method: `k_center` or `centroid_distance`.
        :param select_ratio: share in (0, 1] to keep: max(1, round(ratio * size)) of each topic, or of a flat dataset.
        :param num_per_topic: samples to keep of each topic; smaller topics are kept whole.
        :param select_num: samples to keep over all topics, split by `allocation`, or of a flat dataset.
        :param allocation: how `select_num` is split: `proportional` to topic sizes (largest remainder); or in `equal`
            parts, what small topics cannot use going to the others.
        :param start: the first sample of `k_center`: the one nearest to the mean (`centroid`, no outlier), the `first`
            one, or a `random` one.
        :param seed: seed of a random start.
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
        self._method = method

    @property
    def method(self) -> SelectionMethod:
        """Return the method, with those of the parameters that it has."""
        cls = DIVERSITY_METHODS[self._method]
        return cls(**{field.name: self.parameters[field.name] for field in fields(cls)})  # type: ignore[arg-type]
