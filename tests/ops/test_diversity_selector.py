"""Diverse samples of topics: shares, and which rows."""

import numpy as np
import pytest

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.selection import DIVERSITY_METHODS
from mergeit_ops.core.vectors import decode_vectors
from mergeit_ops.ops import DiversitySelector, TopicClusterGrouper
from tests.recipe_runs import make_dataset


@pytest.fixture(scope="module")
def topics(embedded_rows):
    return TopicClusterGrouper(num_clusters=9, pca_variance=None).run(make_dataset(embedded_rows))


@pytest.mark.parametrize("method", list(DIVERSITY_METHODS))
@pytest.mark.parametrize("total", [4, 45, 100, 500])
def test_the_total_is_met_in_equal_parts(topics, method, total):
    sizes = [len(ids) for ids in topics["id"]]
    selected = DiversitySelector(method, select_num=total, allocation="equal").run(topics)
    kept = [len(ids) for ids in selected["id"]]
    assert sum(kept) == min(total, sum(sizes))
    if total == 45:
        # 5 each; what topics of fewer rows leave goes to the others.
        assert min(kept) == min(5, min(sizes))
        cut = [number for number, size in zip(kept, sizes, strict=True) if number < size]
        assert max(cut) - min(cut) <= 1


def test_no_row_that_is_left_is_farther_from_the_centre_than_one_that_is_kept(topics):
    selected = DiversitySelector("centroid_distance", num_per_topic=4).run(topics)
    for topic, kept in zip(topics, selected, strict=True):
        vectors = decode_vectors(topic[EMBEDDING])
        distances = dict(zip(topic["id"], np.linalg.norm(vectors - vectors.mean(axis=0), axis=1), strict=True))
        assert kept["id"] == [key for key in topic["id"] if key in set(kept["id"])]
        left = [distance for key, distance in distances.items() if key not in kept["id"]]
        assert min(distances[key] for key in kept["id"]) >= max(left, default=0) - 1e-6


@pytest.mark.parametrize("method", list(DIVERSITY_METHODS))
def test_a_flat_dataset_is_one_topic(embedded_rows, method):
    flat = DiversitySelector(method, select_num=15).run(make_dataset(embedded_rows))
    topics = TopicClusterGrouper(num_clusters=1).run(make_dataset(embedded_rows))
    (of_topic,) = DiversitySelector(method, select_num=15).run(topics)["id"]
    assert flat["id"][:] == of_topic
    assert EMBEDDING not in flat.column_names
