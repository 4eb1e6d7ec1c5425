"""Topics: number, independence of order, edges."""

import math

import numpy as np
import pytest

from mergeit_ops.core.topics import default_num_clusters, fit_sample, fit_topics


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


def test_more_topics_than_distinct_rows_are_lowered():
    vectors = np.tile(blobs(1)[:2], (5, 1))
    assert fit_topics(vectors, 7).num_clusters == 2


def test_one_row_is_one_topic():
    assert fit_topics(blobs(1)[:1], 3).assign(blobs(1)[:1]).tolist() == [0]
