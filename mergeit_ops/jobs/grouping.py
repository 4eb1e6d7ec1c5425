"""Group samples into topics by K-means over their embeddings (MergeIT, stage 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.text.counts import many
from mergeit_ops.core.topics.clustering import default_fit_sample_size, default_num_clusters, fit_topics
from mergeit_ops.jobs.rows import Rows
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.jobs.static_model import model_figures, with_fitted_model
from mergeit_ops.progress import working

__all__ = ["GroupingJob", "group_into_topics"]


@dataclass(frozen=True)
class GroupingJob:
    """A grouping of samples into topics.

    :param reader: reads and embeds the samples.
    :param num_clusters: number of topics; None: see `default_num_clusters`.
    :param pca_variance: share of variance that PCA keeps for clustering; None: no PCA.
    :param seed: seed of K-means.
    :param fit_sample_size: rows to which centroids are fitted; None: see `default_fit_sample_size`.
    :param drops_unreadable: whether unreadable rows are dropped; otherwise they get a separate topic.
    """

    reader: SampleReader
    num_clusters: int | None = None
    pca_variance: float | None = 0.95
    seed: int = 42
    fit_sample_size: int | None = None
    drops_unreadable: bool = False


def group_into_topics(rows: Rows, job: GroupingJob) -> tuple[Any, dict[str, Any], list[int]]:
    """Group flat rows into topics.

    Centroids are fitted in this process, to a sample of bounded size. All other work is done where the rows are.

    :param rows: flat rows.
    :param job: how.
    :return: the topics as the executor's own dataset, one row each, ascending by id if the executor keeps an order; the
        figures for the record; and the number of rows of each topic.
    """
    reader = with_fitted_model(rows, job.reader)
    identified, found = rows.identified(reader, job.drops_unreadable)
    num_clusters, model = 0, None
    if len(rows):
        num_clusters = int(job.num_clusters or default_num_clusters(len(rows) - found.unreadable))
        size = int(job.fit_sample_size or default_fit_sample_size(num_clusters))
        with working(f"{reader.operator}: fitting {many(num_clusters, 'topic')}"):
            model = fit_topics(identified.with_lowest_ids(size), num_clusters, job.pca_variance, job.seed)
    topics, sizes = identified.topics(model)
    figures = {
        "rows_in": len(rows),
        "topics": int(np.count_nonzero(sizes)),
        **found.figures(),
        **model_figures(reader),
        **_figures(sizes if model is None else sizes[: model.num_clusters], num_clusters, len(rows)),
    }
    return topics, figures, sizes.tolist()


def _figures(sizes: NDArray[np.int64], num_clusters: int, rows: int) -> dict[str, int]:
    """Return the figures about topics of readable rows."""
    filled = sizes[sizes > 0]
    figures = {"smallest_topic": int(filled.min(initial=rows)), "largest_topic": int(filled.max(initial=0))}
    return figures | ({"empty_topics": num_clusters - len(filled)} if len(filled) < num_clusters else {})
