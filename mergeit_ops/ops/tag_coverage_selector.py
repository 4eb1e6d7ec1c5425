"""Keep samples whose tags cover those of all samples, by a method of the literature."""

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
    each that adds a tag; when no sample adds one, it begins anew with those that are left. Scores change nothing.
    `information_gain` (MIG, arXiv 2504.13835): each sample gives its score to each of its tags, and a tag passes a
    share on to tags that are like it. A sample is worth what it adds to the sum of x^`exponent` over all tags, where x
    is what a tag has received; so tags that have much count little. Both take a million samples in minutes. Samples
    without tags come last. No sample is embedded; `information_gain` embeds the tags, unless `edge_similarity` is
    null."""

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

        At most one of `select_ratio`, `num_per_topic`, `select_num` and `select_tokens` may be set; none of them means
        a ratio of 0.2.

        :param method: one of the methods above.
        :param allocation: how `select_num` or `select_tokens` is split: `proportional` to topic sizes (largest
            remainder), or in `equal` parts; other topics get what small topics cannot use.
        :param tags_key: column of the tags, a list of texts for each sample. null is no tag.
        :param gain: what `information_gain` takes the highest of: `exact`, how much a sample raises the sum, whose
            greedy choice is at least 63 % of the best one; or `gradient`, as in the released code, where a tag that no
            chosen sample has outweighs nearly everything.
        :param exponent: how fast a tag has enough, in (0, 1]: 1 means never, and the highest scores win. 0.8 is the
            paper's.
        :param edge_similarity: cosine of the embeddings of two tags from which they pass on to each other, in
            proportion to it; 0.9 is the paper's, for another embedding model. For 100,000 tags at most. null: tags keep
            what they receive, and are not embedded.
        :param propagation: factor of what they pass on, at least 0. 1 is the paper's.
        :param normalize_by_tags: whether a sample divides its score among its tags, so that many tags are no advantage.
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
