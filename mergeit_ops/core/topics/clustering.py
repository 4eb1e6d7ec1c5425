"""Topics: PCA and K-means over embeddings (MergeIT, stage 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.fixed_threads import fixed_threads

_ASSIGN_BLOCK_DISTANCES = 4_000_000
# As a share of the squared norms; the error of a product in float32 is a hundredth of it.
_NEARLY_EQUAL = 1e-4
_MIN_FIT_ROWS = 50_000
_FIT_ROWS_PER_TOPIC = 100
_COVARIANCE_ROWS_PER_DIMENSION = 10
_LARGE_FIT_ROWS = 20_000
_LARGE_FIT_ITERATIONS = 25
_LARGE_FIT_START_ROWS_PER_TOPIC = 20
_START_CANDIDATES = 4


def default_num_clusters(n: int) -> int:
    """Return the paper's number of topics for n rows: floor(sqrt(n / 2)), at least 1."""
    return max(1, math.isqrt(n // 2))


def default_fit_sample_size(num_clusters: int) -> int:
    """Return the number of rows to which centroids are fitted, if the recipe does not set it.

    K-means gains little from more than about a hundred rows per centroid. Fitting is the only step whose memory grows
    with its sample, and 50,000 rows are always affordable.
    """
    return max(_MIN_FIT_ROWS, _FIT_ROWS_PER_TOPIC * num_clusters)


def fit_sample(row_ids: Sequence[str], size: int) -> NDArray[np.int64]:
    """Choose the rows to which centroids are fitted, by content and not by position.

    Row ids are hashes, so the lowest ids are a uniform sample that does not depend on the order of the rows, on the
    executor or on the number of processes.

    :param row_ids: n row ids.
    :param size: rows wanted.
    :return: min(n, size) positions, ordered by row id.
    """
    try:
        # Bytes have the same order as their texts, in a quarter of the memory.
        keys = np.asarray(row_ids, dtype=np.bytes_)
    except UnicodeEncodeError:
        keys = np.asarray(row_ids, dtype=np.str_)
    return np.argsort(keys, kind="stable")[:size].astype(np.int64)


@dataclass(frozen=True)
class TopicModel:
    """Fitted centroids.

    :param kmeans: the fitted scikit-learn K-means.
    :param pca: the fitted scikit-learn PCA, or None if the embeddings themselves were clustered.
    """

    kmeans: Any
    pca: Any | None

    @property
    def num_clusters(self) -> int:
        """Return the number of centroids."""
        return len(self.kmeans.cluster_centers_)

    def assign(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the topic of each row, which does not depend on the other rows.

        The last bits of a matrix product depend on the place of a row. Rows between two topics are therefore assigned
        by separate sums for each row, in float64.

        :param vectors: (n, d) float32 embeddings.
        :return: (n,) int64 in [0, num_clusters).
        """
        labels = np.empty(len(vectors), dtype=np.int64)
        rows = max(1, _ASSIGN_BLOCK_DISTANCES // self.num_clusters)
        for start in range(0, len(vectors), rows):
            block = vectors[start : start + rows]
            labels[start : start + len(block)] = self._assign_block(block)
        return labels

    def _assign_block(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        centroids = self.kmeans.cluster_centers_
        rows = vectors if self.pca is None else self.pca.transform(vectors)
        norms = np.einsum("ij,ij->i", centroids, centroids)
        # Squared distances minus the norm of the row, which is the same for all centroids.
        distances = norms - 2 * (rows @ centroids.T)
        labels = distances.argmin(axis=1)
        scale = norms.max() + np.einsum("ij,ij->i", rows, rows)
        bound = distances.min(axis=1) + _NEARLY_EQUAL * scale
        between = np.flatnonzero(np.count_nonzero(distances <= bound[:, None], axis=1) > 1)
        for row in between:
            near = np.flatnonzero(distances[row] <= bound[row])
            labels[row] = near[_squared_distances(self._reduced(vectors[row]), centroids[near]).argmin()]
        return labels

    def _reduced(self, vector: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return a row in the space of the centroids, in float64."""
        row = vector.astype(np.float64)
        return row if self.pca is None else ((row - self.pca.mean_) * self.pca.components_).sum(axis=1)


def _squared_distances(row: NDArray[np.float64], centroids: NDArray[np.float32]) -> NDArray[np.float64]:
    return ((centroids - row) ** 2).sum(axis=1)


def fit_topics(
    vectors: NDArray[np.float32], num_clusters: int, pca_variance: float | None = 0.95, seed: int = 42
) -> TopicModel:
    """Fit topic centroids.

    :param vectors: (n, d) float32 embeddings of the rows to fit to, n >= 1.
    :param num_clusters: number of topics; lowered to the number of distinct rows.
    :param pca_variance: share of variance in (0, 1) that the reduced space keeps, or None for no reduction. The
        reduction is only for clustering; selection uses the embeddings themselves.
    :param seed: seed of K-means.
    :return: the fitted model.
    """
    num_clusters = _distinct_rows(vectors, num_clusters)
    with fixed_threads(len(vectors)):
        return _fit(vectors, num_clusters, pca_variance, seed)


def _fit(vectors: NDArray[np.float32], num_clusters: int, pca_variance: float | None, seed: int) -> TopicModel:
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    # A single direction, or a single row, has no variance to keep a share of.
    reducible = pca_variance is not None and num_clusters > 1
    # With many rows the covariance matrix is exact enough, and its eigenvectors take a tenth of the time of a full
    # decomposition.
    many = len(vectors) >= _COVARIANCE_ROWS_PER_DIMENSION * vectors.shape[1]
    solver = "covariance_eigh" if many else "full"
    pca = PCA(n_components=pca_variance, svd_solver=solver, random_state=seed).fit(vectors) if reducible else None
    reduced = vectors if pca is None else pca.transform(vectors)
    reduced = np.ascontiguousarray(reduced, np.float32)
    if len(vectors) <= _LARGE_FIT_ROWS:
        # n_init 1 is scikit-learn's default for k-means++ since 1.4 and the reason for the speed of the paper's code.
        kmeans = KMeans(num_clusters, random_state=seed, n_init=1)
    else:
        # scikit-learn's own k-means++ converts all rows to float64 for each centroid that it draws, which takes most of
        # the time.
        starts = _starting_centroids(reduced, num_clusters, seed)
        kmeans = KMeans(num_clusters, init=starts, random_state=seed, n_init=1, max_iter=_LARGE_FIT_ITERATIONS)
    return TopicModel(kmeans=kmeans.fit(reduced), pca=pca)


def _starting_centroids(rows: NDArray[np.float32], num_clusters: int, seed: int) -> NDArray[np.float32]:
    """Draw centroids by greedy k-means++ from the first rows, which are a uniform sample of all.

    :param rows: (n, d) float32 in the order of `fit_sample`.
    :param num_clusters: number of centroids, <= n.
    :param seed: seed of the draws.
    :return: (num_clusters, d) float32, rows among the first 20 per centroid.
    """
    rng = np.random.default_rng(seed)
    rows = rows[: max(_LARGE_FIT_ROWS, _LARGE_FIT_START_ROWS_PER_TOPIC * num_clusters)]
    norms = np.einsum("ij,ij->i", rows, rows)

    def squared_distances(candidates: NDArray[np.int64]) -> NDArray[np.float32]:
        inner = rows[candidates] @ rows.T
        return np.maximum(norms[candidates, None] + norms - 2 * inner, 0)

    chosen = [int(rng.integers(len(rows)))]
    nearest = squared_distances(np.asarray(chosen))[0]
    while len(chosen) < num_clusters:
        reach = np.cumsum(nearest, dtype=np.float64)
        candidates = np.searchsorted(reach, rng.random(_START_CANDIDATES) * reach[-1]).clip(max=len(rows) - 1)
        distances = np.minimum(squared_distances(candidates), nearest)
        best = int(distances.sum(axis=1, dtype=np.float64).argmin())
        nearest = distances[best]
        chosen.append(int(candidates[best]))
    return rows[chosen]


def _distinct_rows(vectors: NDArray[np.float32], most: int) -> int:
    """Return the number of different rows, counted up to `most`."""
    seen: set[bytes] = set()
    for row in vectors:
        seen.add((row + 0.0).tobytes())  # makes minus zero equal to zero
        if len(seen) >= most:
            break
    return len(seen)
