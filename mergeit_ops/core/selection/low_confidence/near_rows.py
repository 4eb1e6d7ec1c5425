"""The rows nearest to the centre of their cluster."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.topics.clustering import TopicModel

__all__ = ["centre_distances", "nearest_rows"]

_BLOCK_ROWS = 16_384
_DIGITS = 6  # of a distance; float32 has hardly more


def centre_distances(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], model: TopicModel | None = None
) -> NDArray[np.float64]:
    """Return the Euclidean distance of each row to the centre of its cluster.

    :param vectors: (n, d) float32.
    :param labels: (n,) the cluster of each row.
    :param model: the fitted centroids, in their reduced space; None: the centre is the mean of the rows of the cluster.
    """
    distances = np.empty(len(vectors))
    if model is None:
        clusters, places = np.unique(labels, return_inverse=True)
        centres = np.stack([vectors[labels == cluster].mean(axis=0, dtype=np.float64) for cluster in clusters])
    else:
        centres, places = np.asarray(model.kmeans.cluster_centers_, dtype=np.float64), labels
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        rows = vectors[block]
        if model is not None and model.pca is not None:
            rows = model.pca.transform(rows)
        distances[block] = np.linalg.norm(rows.astype(np.float64) - centres[places[block]], axis=1)
    return np.round(distances, _DIGITS)


def nearest_rows(distances: NDArray[np.float64], labels: NDArray[np.int64], count: int) -> list[NDArray[np.int64]]:
    """Return the rows of each cluster that are nearest to its centre.

    :param distances: (n,) of each row to the centre of its cluster.
    :param labels: (n,) the cluster of each row.
    :param count: rows of each cluster; all rows of a cluster that has fewer.
    :return: positions for each cluster, in ascending order of the clusters, the nearest first. Ties keep their order.
    """
    order = np.lexsort((distances, labels))
    groups = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    return [group[:count] for group in groups if len(group)]
