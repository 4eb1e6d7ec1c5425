"""LCG as methods that choose rows."""

import numpy as np
import pytest

from mergeit_ops.core.selection.low_confidence.method import (
    LogisticConfidence,
    NaiveBayesConfidence,
    default_num_clusters,
    numbered_by_first_row,
)
from mergeit_ops.core.selection.method import Pool
from tests.core.selection.toys import directions


@pytest.mark.parametrize(("rows", "clusters"), [(1, 2), (127, 2), (288, 3), (51_974, 40), (52_002, 40)])
def test_the_default_number_of_clusters_is_that_of_the_paper_for_alpaca(rows, clusters):
    assert default_num_clusters(rows) == clusters


def test_a_method_asks_for_topics_only_where_a_field_has_them():
    assert LogisticConfidence().needs == {"vectors"}
    assert LogisticConfidence(topic_key="t").needs == {"vectors", "topics"}
    assert NaiveBayesConfidence(topic_key="t").needs == {"vectors", "topics", "texts"}


def test_near_rows_come_first_and_every_chosen_row_says_what_it_is():
    vectors = directions(40)
    topics = np.arange(40) % 2
    method = LogisticConfidence(topic_key="t", train_per_cluster=5, num_per_cluster_near=3)
    found = method.select(Pool(vectors, topics=topics), 10)
    assert found.stats["lcg_part"] == ["near"] * 6 + ["low_confidence"] * 4
    assert found.stats["lcg_label"] == topics[found.indices].tolist()
    assert sorted(topics[found.indices[:6]].tolist()) == [0, 0, 0, 1, 1, 1]
    assert {key: found.counts[key] for key in ("clusters", "near", "low_confidence")} == {
        "clusters": 2,
        "near": 6,
        "low_confidence": 4,
    }
    assert len(set(found.indices.tolist())) == 10
    assert all(0 <= value <= 1 for value in found.stats["lcg_confidence"])


def test_one_row_is_chosen():
    pool = Pool(directions(1), texts=["a text"])
    for method in (LogisticConfidence(), NaiveBayesConfidence()):
        assert method.select(pool, 1).indices.tolist() == [0]


def test_labels_are_numbered_in_the_order_of_the_rows():
    labels = np.array([7, 2, 7, 5, 2])
    np.testing.assert_array_equal(numbered_by_first_row(labels), [0, 1, 0, 2, 1])


def test_another_numbering_of_the_same_clusters_gives_the_same_labels():
    rng = np.random.default_rng(0)
    labels = rng.integers(6, size=50)
    np.testing.assert_array_equal(numbered_by_first_row(labels), numbered_by_first_row(rng.permutation(6)[labels]))


def test_no_labels_are_numbered_too():
    assert len(numbered_by_first_row(np.zeros(0, dtype=np.int64))) == 0
