"""Group samples into topics by clustering the embeddings of their instructions."""

from __future__ import annotations

from typing import Any, Optional

from data_juicer.config import config
from data_juicer.ops.base_op import OPERATORS, TAGGING_OPS, Grouper, Pipeline
from data_juicer.utils.ray_utils import is_ray_mode
from datasets import Dataset

from mergeit_ops.constraints import Number
from mergeit_ops.dataset.manifest import TOPIC_SIZES
from mergeit_ops.dataset.recipe import is_analyzed
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.grouping import GroupingJob, group_into_topics
from mergeit_ops.ops.embedding_operator import EmbeddingOperator
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.sample_operator import (
    EMBEDDING_CONSTRAINTS,
    SAMPLE_CONSTRAINTS,
    UNREADABLE_CONSTRAINTS,
)

OP_NAME = "topic_cluster_grouper"


@OPERATORS.register_module(OP_NAME)
class TopicClusterGrouper(EmbeddingOperator, Grouper, Pipeline):
    """Group samples into topics: return one row per topic, with a list of the samples' values in each column.

    Embeds each sample's instruction (and input), reduces the embeddings by PCA, and clusters them by K-means (MergeIT,
    stage 1). The selectors and the merger that follow work within topics. Adds `mergeit_row_id` and `mergeit_embedding`
    to samples that do not bring them, and `__dj__batch_meta__` to the topics. The rows to which the centroids are
    fitted are chosen by their content, so topics do not depend on the order of the input."""

    # Otherwise Data-Juicer's partitioned Ray executor would run it on each partition separately.
    is_global_operation = True
    gives = "topics"
    makes_vectors = True
    gives_ids = True
    kind = "grouper"
    _constraints = {
        **SAMPLE_CONSTRAINTS,
        **EMBEDDING_CONSTRAINTS,
        "num_clusters": Number(low=1, integer=True, optional=True),
        "pca_variance": Number(low=0, high=1, low_open=True, high_open=True, optional=True),
        "seed": Number(low=0, high=2**32 - 1, integer=True),
        "fit_sample_size": Number(low=1, integer=True, optional=True),
        **UNREADABLE_CONSTRAINTS,
    }

    def __init__(
        self,
        num_clusters: Optional[int] = None,
        pca_variance: Optional[float] = 0.95,
        seed: int = 42,
        fit_sample_size: Optional[int] = None,
        unreadable_rows: str = "keep",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param num_clusters: number of topics; null: floor(sqrt(n / 2)) for n samples, as in the released code.
        :param pca_variance: share of the embeddings' variance, in (0, 1), that PCA keeps for clustering; null: no PCA.
            Selection and pairing always use the full embeddings.
        :param seed: seed of K-means.
        :param fit_sample_size: samples to which the centroids are fitted; null: all up to 50,000, or 100 per topic if
            that is more.
        :param unreadable_rows: what to do with rows whose text cannot be read. `keep` puts them into a separate last
            topic; `drop` drops them. If more than half of the rows cannot be read, the run stops.
        :param args: extra args
        :param kwargs: extra args
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        self.num_clusters = num_clusters
        self.pca_variance = pca_variance
        self.seed = int(seed)
        self.fit_sample_size = fit_sample_size
        self.drops_unreadable = unreadable_rows == "drop"
        _declare_metadata()

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None) -> Dataset:
        """Group a flat dataset into topics.

        :param dataset: flat samples.
        :param exporter: not used.
        :param tracer: not used; Data-Juicer does not trace groupers.
        :return: one row per topic, ascending by topic id.
        :raises DatasetError: if a column is missing, or the rows are topics already.
        """
        with self.recorded() as manifest:
            rows = self.rows_of(dataset)
            if is_ray_dataset(dataset) and not len(rows):
                manifest.figures |= {"rows_in": 0, "rows_out": 0}
                return rows.dataset
            if rows.grouped:
                raise DatasetError(
                    f"{self._name}: the rows are topics already; remove the second grouper from the recipe, or flatten "
                    "the topics with topic_reverse_grouper first."
                )
            reader = self.reader_of(rows.columns)
            self.check_merges_ahead(rows, reader.layout)
            job = GroupingJob(
                reader,
                num_clusters=self.num_clusters,
                pca_variance=self.pca_variance,
                seed=self.seed,
                fit_sample_size=self.fit_sample_size,
                drops_unreadable=self.drops_unreadable,
            )
            topics, figures, sizes = group_into_topics(rows, job)
            manifest.figures |= figures
            manifest.details[TOPIC_SIZES] = sizes
        return topics


def _declare_metadata() -> None:
    """Have Data-Juicer add the metadata column before this operator on Ray, and only there.

    Its Ray executors look at the columns only once, at the start. A later operator that tags samples would get a
    second, empty metadata column, and the lineage would be lost. In default mode and under `dj-analyze`, Data-Juicer
    takes a tagging operator for one that works on raw rows.
    """
    executor = getattr(config.global_cfg, "executor_type", "default")
    if (is_ray_mode() or executor in ("ray", "ray_partitioned")) and not is_analyzed():
        TAGGING_OPS.modules[OP_NAME] = TopicClusterGrouper
    else:
        TAGGING_OPS.modules.pop(OP_NAME, None)
