"""Keep samples whose tags cover those of all samples, by a published method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from data_juicer.ops.base_op import OPERATORS

from mergeit_ops.constraints import FLAG, TEXT, Number, OneOf
from mergeit_ops.core.selection import TAG_METHODS
from mergeit_ops.core.selection.budget import FIXED_BUDGETS
from mergeit_ops.core.selection.information_gain import GAINS
from mergeit_ops.core.selection.method import Need
from mergeit_ops.ops.method_selector import MethodSelector
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.scored_selector import SCORE_CONSTRAINTS, ScoredSelector
from mergeit_ops.ops.topic_selector import TOPIC_SELECTOR_CONSTRAINTS

OP_NAME = "tag_coverage_selector"


@OPERATORS.register_module(OP_NAME)
class TagCoverageSelector(MethodSelector, ScoredSelector):
    """Keep samples whose tags cover those of all samples.

    Put `instruction_tag_mapper` and `tag_normalization_mapper` before it, or bring a column of tags, a list of texts
    for each sample.

    `complexity_first` (InsTag, arXiv 2308.07074) goes through the samples, those with the most tags first, and takes
    each sample that adds a new tag. When no sample adds one, it starts again with the samples that are left. It does
    not use scores. `information_gain` (MIG, arXiv 2504.13835): each sample gives its score to each of its tags, and a
    tag passes a share on to similar tags. The gain of a sample is what it adds to the sum of x^`exponent` over all
    tags, where x is what a tag has received. So a tag that has received much adds little. Both methods take a million
    samples in minutes. Samples without tags come last. No sample is embedded; `information_gain` embeds the tags,
    unless `edge_similarity` is null."""

    methods = TAG_METHODS
    _constraints = {
        **TOPIC_SELECTOR_CONSTRAINTS,
        **SCORE_CONSTRAINTS,
        "allocation": OneOf(tuple(FIXED_BUDGETS)),
        "method": OneOf(tuple(TAG_METHODS)),
        "tags_key": TEXT,
        "gain": OneOf(GAINS),
        "exponent": Number(low=0, high=1, low_open=True),
        "edge_similarity": Number(low=0, high=1, low_open=True, optional=True),
        "propagation": Number(low=0),
        "normalize_by_tags": FLAG,
    }

    def __init__(
        self,
        method: str = "complexity_first",
        allocation: str = "proportional",
        tags_key: str = "tags",
        gain: str = "exact",
        exponent: float = 0.8,
        edge_similarity: Optional[float] = 0.9,
        propagation: float = 1.0,
        normalize_by_tags: bool = False,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        At most one of `select_ratio`, `num_per_topic`, `select_num` and `select_tokens` may be set. If none is set, the
        ratio is 0.2.

        :param method: one of the methods above.
        :param allocation: how `select_num` or `select_tokens` is split: `proportional` to topic sizes (largest
            remainder), or in `equal` parts. What a small topic cannot use goes to the others.
        :param tags_key: column of the tags, a list of texts for each sample. A null does not count as a tag.
        :param gain: what `information_gain` maximises in each step: `exact`, how much a sample raises the sum; greedy
            steps reach at least 63 % of the best possible sum. Or `gradient`, as in the released code, where a tag that
            no chosen sample has outweighs nearly everything.
        :param exponent: how fast a tag is saturated, in (0, 1]. With 1 it never is, and the highest scores win. 0.8 as
            in the paper.
        :param edge_similarity: lowest cosine at which two tags pass shares on to each other, in proportion to it. 0.9
            as in the paper, which uses another embedding model. It works for at most 100,000 tags. null: tags pass
            nothing on and are not embedded.
        :param propagation: factor of the shares that tags pass on, at least 0. 1 as in the paper.
        :param normalize_by_tags: whether a sample divides its score among its tags, so that having many tags is no
            advantage.
        :param args: extra args
        :param kwargs: extra args
        :raises RecipeError: if a parameter of another method is set.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)

    @property
    def field_keys(self) -> Mapping[Need, tuple[str, str]]:
        """Return the column of the tags."""
        return {"tags": ("tags_key", self.parameters["tags_key"])}
