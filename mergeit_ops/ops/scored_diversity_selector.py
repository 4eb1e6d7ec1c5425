"""Keep good samples that differ from each other, by a published method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Union

from data_juicer.ops.base_op import OPERATORS

from mergeit_ops.constraints import TEXT, Number, OneOf
from mergeit_ops.core.selection import SCORED_DIVERSITY_METHODS
from mergeit_ops.core.selection.budget import FIXED_BUDGETS
from mergeit_ops.core.selection.method import Need
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops.method_selector import MethodSelector
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.scored_selector import SCORE_CONSTRAINTS, ScoredSelector
from mergeit_ops.ops.topic_selector import TOPIC_SELECTOR_CONSTRAINTS

OP_NAME = "scored_diversity_selector"


@OPERATORS.register_module(OP_NAME)
class ScoredDiversitySelector(MethodSelector, ScoredSelector):
    """Keep good samples that differ from each other, by a score and embeddings, topics or n-grams.

    `similarity_filter` goes through the samples from the highest score down and keeps each sample whose cosine to every
    kept one is at most `max_similarity` (the filter of DEITA, arXiv 2312.15685). It may keep fewer samples than the
    budget allows. `cluster_top` keeps the best samples of each topic, and the best of all others (CaR, arXiv
    2402.18191). It needs flat samples with a topic: put `topic_cluster_grouper` and `topic_reverse_grouper` before it.
    `ngram_coverage` repeatedly chooses the sample with the highest product of its score and the tf-idf of those of its
    n-grams that no chosen sample has (GraphFilter, arXiv 2410.12458). It needs no embeddings. Given topics, the
    operator selects within each topic and returns topics. Given a flat dataset, it selects from all samples and keeps
    columns and order."""

    methods = SCORED_DIVERSITY_METHODS
    _constraints = {
        **TOPIC_SELECTOR_CONSTRAINTS,
        "allocation": OneOf(tuple(FIXED_BUDGETS)),
        "method": OneOf(tuple(SCORED_DIVERSITY_METHODS)),
        **SCORE_CONSTRAINTS,
        "max_similarity": Number(low=0, high=1, words=("auto",)),
        "best_per_topic": Number(low=0, integer=True),
        "topic_key": TEXT,
        "max_ngram": Number(low=1, high=8, integer=True),
    }

    def __init__(
        self,
        method: str = "similarity_filter",
        allocation: str = "proportional",
        max_similarity: Union[float, str] = 0.9,
        best_per_topic: int = 1,
        topic_key: str = "topic_id",
        max_ngram: int = 3,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        At most one of `select_ratio`, `num_per_topic`, `select_num` and `select_tokens` may be set. If none is set, the
        ratio is 0.2. `score_key` must be set.

        :param method: one of the methods above.
        :param allocation: how `select_num` or `select_tokens` is split among topics: `proportional` to their sizes
            (largest remainder), or in `equal` parts. What a small topic cannot use goes to the others.
        :param max_similarity: highest cosine of two samples that `similarity_filter` keeps. The paper's 0.9 is for
            vectors of a large language model; with MiniLM's vectors, few pairs exceed it. `auto`: the lowest bound that
            leaves as many samples as the budget allows. The record holds this bound. It is at most 0.9999, so that no
            copies are kept. The search for it compares at most a billion pairs of a sample and a kept sample.
        :param best_per_topic: samples of each topic that `cluster_top` always keeps; n2 in the paper. They count toward
            the budget. The best of all other samples fill the rest of it.
        :param topic_key: the field in which `cluster_top` finds the topic of a sample: a column, a key inside one after
            a dot, or a key of `__dj__meta__`, such as the `topic_id` of `topic_reverse_grouper`.
        :param max_ngram: words of the longest n-grams that `ngram_coverage` counts; 3 in the paper.
        :param args: extra args
        :param kwargs: extra args
        :raises RecipeError: if there is no `score_key`, or a parameter of another method is set.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        if self.parameters["score_key"] is None:
            raise RecipeError(
                f"{self._name}: score_key is not set; name the column or stat that says how good each sample is, such "
                "as distilled_quality_score, which sample_score_filter writes."
            )

    @property
    def field_keys(self) -> Mapping[Need, tuple[str, str]]:
        """Return the field that holds the topic of a sample."""
        return {"topics": ("topic_key", self.parameters["topic_key"])}
