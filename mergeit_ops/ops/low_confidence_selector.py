"""Keep the samples that a classifier of clusters is least sure about, and those nearest to the centres."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from data_juicer.ops.base_op import OPERATORS

from mergeit_ops.constraints import FLAG, OPTIONAL_TEXT, Number, OneOf
from mergeit_ops.core.selection.low_confidence import LOW_CONFIDENCE_METHODS
from mergeit_ops.core.selection.method import Need
from mergeit_ops.ops.method_selector import MethodSelector
from mergeit_ops.ops.parameters import check_at_most_one, declare
from mergeit_ops.ops.topic_selector import TOPIC_SELECTOR_CONSTRAINTS

OP_NAME = "low_confidence_selector"


@OPERATORS.register_module(OP_NAME)
class LowConfidenceSelector(MethodSelector):
    """Keep the samples that a classifier of clusters is least sure about, and those nearest to the centres.

    Low-Confidence Gold (LCG, arXiv 2502.18978): K-means clusters the embeddings. A classifier learns the clusters from
    the samples nearest to the centres, and predicts the cluster of every sample. The operator keeps the
    `num_per_cluster_near` nearest samples of each cluster, then the samples that the classifier puts into a wrong
    cluster, the least certain ones first. `method` names the classifier. `naive_bayes`: naive Bayes over the words of
    instruction and input, as in the released code. It prefers short instructions with rare words, so remove broken
    samples and duplicates before. `logistic`: logistic regression on the embeddings, in place of the language model
    that the paper trains. It classifies nearly all samples correctly, so most samples are ranked by how much likelier
    their cluster is than the next one. The operator selects from a whole flat dataset and keeps columns and order. It
    writes `lcg_confidence`, `lcg_predicted`, `lcg_label` and `lcg_part` (`near` or `low_confidence`) to
    `__dj__stats__`."""

    takes = "samples"
    gives = "samples"
    methods = LOW_CONFIDENCE_METHODS
    _constraints = {
        **TOPIC_SELECTOR_CONSTRAINTS,
        "method": OneOf(tuple(LOW_CONFIDENCE_METHODS)),
        "num_clusters": Number(low=2, integer=True, optional=True),
        "topic_key": OPTIONAL_TEXT,
        "pca_variance": Number(low=0, high=1, low_open=True, high_open=True, optional=True),
        "train_per_cluster": Number(low=1, integer=True),
        "num_per_cluster_near": Number(low=0, integer=True),
        "misclassified_first": FLAG,
        "seed": Number(low=0, high=2**32 - 1, integer=True),
    }

    def __init__(
        self,
        method: str = "naive_bayes",
        num_clusters: Optional[int] = None,
        topic_key: Optional[str] = None,
        pca_variance: Optional[float] = 0.95,
        train_per_cluster: int = 40,
        num_per_cluster_near: int = 20,
        misclassified_first: bool = True,
        seed: int = 42,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        At most one of `select_ratio`, `select_num` and `select_tokens` may be set; if none is set, the ratio is 0.2.

        :param method: the classifier, one of the two above.
        :param num_clusters: number of clusters; null: floor(sqrt(n / 32)) for n samples, at least 2. For Alpaca that is
            40, as in the released data; the released code has floor(sqrt(n / 8)).
        :param topic_key: the field that holds the cluster of a sample, if it is known: a column, a key inside one after
            a dot, or a key of `__dj__meta__`, such as the `topic_id` of `topic_reverse_grouper`. null: K-means finds
            clusters.
        :param pca_variance: share of the embeddings' variance, in (0, 1), that PCA keeps for clustering; null: no PCA.
        :param train_per_cluster: samples nearest to the centre of each cluster that the classifier learns from.
        :param num_per_cluster_near: how many of these samples are kept. They count toward the budget.
        :param misclassified_first: whether misclassified samples come before all others, as in the released code; if
            not, only the confidence counts. If there are too few misclassified samples, the released code keeps fewer
            samples; here the least certain of the others follow. The record counts them.
        :param seed: seed of K-means.
        :param args: extra args
        :param kwargs: extra args
        :raises RecipeError: if both `topic_key` and `num_clusters` are set.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        # With topic_key the clusters are those of that field.
        check_at_most_one(self, ("num_clusters", "topic_key"))

    @property
    def field_keys(self) -> Mapping[Need, tuple[str, str]]:
        """Return the field that holds the cluster of a sample."""
        key = self.parameters["topic_key"]
        return {} if key is None else {"topics": ("topic_key", key)}
