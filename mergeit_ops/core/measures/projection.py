"""Embeddings on a plane, for plots."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

_DIMENSIONS_KEPT = 50
_PERPLEXITY = 30.0


def project_2d(vectors: NDArray[np.float32], seed: int = 42) -> NDArray[np.float32]:
    """Return places on a plane where similar rows are near each other (t-SNE, started from the principal axes).

    Distances between far groups mean little. It takes about 20 seconds for 4,000 rows.

    :param vectors: (n, d) float32 of unit norm.
    :param seed: seed of the principal components and of t-SNE.
    :return: (n, 2) float32, centred, with coordinates of at most 1 in absolute value; for fewer than four rows, their
        first two principal components.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    n, d = vectors.shape
    if n < 2 or not np.ptp(vectors, axis=0).any():
        return np.zeros((n, 2), dtype=np.float32)
    kept = min(_DIMENSIONS_KEPT, n, d)
    reduced = PCA(n_components=kept, random_state=seed).fit_transform(vectors)
    if n < 4:
        return _scaled(np.pad(reduced[:, :2], ((0, 0), (0, max(0, 2 - kept)))))
    # The perplexity must be below the number of rows.
    perplexity = min(_PERPLEXITY, (n - 1) / 3)
    with warnings.catch_warnings():
        # Identical rows cause a division by zero, but end up together as they should.
        warnings.simplefilter("ignore", RuntimeWarning)
        places = TSNE(perplexity=perplexity, init="pca" if kept > 1 else "random", random_state=seed).fit_transform(
            reduced
        )
    return _scaled(places)


def _scaled(places: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = places - places.mean(axis=0)
    widest = np.abs(centred).max()
    return (centred / widest if widest else centred).astype(np.float32)
