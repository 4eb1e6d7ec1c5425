"""Topics: number, independence of order, edges."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

from mergeit_ops.core.topics.clustering import default_num_clusters, fit_sample, fit_topics


def blobs(per_blob: int = 30) -> np.ndarray:
    rng = np.random.default_rng(0)
    centres = np.eye(4, 16, dtype=np.float32)
    vectors = np.repeat(centres, per_blob, axis=0) + rng.normal(scale=0.05, size=(4 * per_blob, 16)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 1), (8, 2), (9_229, 67), (35_000, 132), (52_002, 161)])
def test_number_of_topics_is_that_of_the_released_code_and_at_least_one(n, k):
    assert default_num_clusters(n) == k
    assert k == max(1, int(math.sqrt(n / 2)))


@pytest.mark.parametrize("pca_variance", [0.95, None])
def test_well_separated_rows_are_separate_topics(pca_variance):
    labels = fit_topics(blobs(), 4, pca_variance, seed=1).assign(blobs())
    assert len(np.unique(labels)) == 4
    assert all(len(set(part)) == 1 for part in np.split(labels, 4))


def test_topics_do_not_depend_on_the_order_of_the_rows():
    vectors = blobs()
    row_ids = [f"{number:032x}" for number in np.random.default_rng(1).permutation(len(vectors))]
    shuffle = np.random.default_rng(2).permutation(len(vectors))

    def labels_of(order):
        rows = fit_sample([row_ids[i] for i in order], 80)
        return fit_topics(vectors[order][rows], 4).assign(vectors[order])

    straight = labels_of(np.arange(len(vectors)))
    np.testing.assert_array_equal(labels_of(shuffle), straight[shuffle])


@pytest.mark.parametrize("pca_variance", [0.95, None])
def test_the_topic_of_a_row_does_not_depend_on_the_rows_around_it(pca_variance):
    """Not even of a row that lies between two topics, which the last digit of a product decides about."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((2_500, 96)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    model = fit_topics(vectors[:600], 12, pca_variance)
    centres = model.kmeans.cluster_centers_
    if model.pca is not None:
        centres = model.pca.inverse_transform(centres)
    between = np.stack([(centres[i] + centres[j]) / 2 for i in range(12) for j in range(i)]).astype(np.float32)
    vectors = np.concatenate([vectors, between])
    whole = model.assign(vectors)
    for size in (1, 3, 64, 255, 1_025):
        starts = range(0, len(vectors), size) if size > 3 else range(len(vectors) - 40, len(vectors), size)
        for start in starts:
            part = slice(start, start + size)
            np.testing.assert_array_equal(model.assign(vectors[part]), whole[part])


FIT_IN_A_PROCESS = """
import hashlib
import numpy as np
from mergeit_ops.core.topics.clustering import fit_topics
vectors = np.random.default_rng(0).standard_normal((3_000, 64)).astype(np.float32)
for part in (vectors[:600], vectors):
    print(hashlib.sha256(fit_topics(part, 8).kmeans.cluster_centers_.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_centroids_do_not_depend_on_the_number_of_threads():
    """In processes of their own: what bounds threads must also bound libraries that are not loaded yet."""
    printed = [
        subprocess.run(
            [sys.executable, "-c", FIT_IN_A_PROCESS],
            env=os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2", "4", "4")
    ]
    assert printed == printed[:1] * 4


def test_more_topics_than_distinct_rows_are_lowered():
    vectors = np.tile(blobs(1)[:2], (5, 1))
    assert fit_topics(vectors, 7).num_clusters == 2


def test_one_row_is_one_topic():
    assert fit_topics(blobs(1)[:1], 3).assign(blobs(1)[:1]).tolist() == [0]
