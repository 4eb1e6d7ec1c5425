"""CaR: the union of the best rows of all and the best of each topic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mergeit_ops.core.selection.cluster_top import ClusterTop, cluster_top
from mergeit_ops.core.selection.method import Pool

SCORES = np.array([6.0, 8, 4, 4, 3, 5])
TOPICS = np.array([0, 0, 0, 1, 1, 2])


def union(scores, topics, best, per_topic) -> set[int]:
    order = np.argsort(-scores, kind="stable")
    chosen = set(order[:best].tolist())
    for topic in np.unique(topics):
        chosen |= set(order[topics[order] == topic][:per_topic].tolist())
    return chosen


def test_golden_by_hand():
    # The best of the topics are 1, 5 and 3; the best of all are 1, 0, 5.
    assert union(SCORES, TOPICS, 2, 1) == {0, 1, 3, 5}
    assert cluster_top(SCORES, TOPICS, 4).tolist() == [1, 5, 3, 0]
    found = ClusterTop(best_per_topic=2).select(Pool(scores=SCORES, topics=TOPICS), 6)
    assert found.indices.tolist() == [1, 5, 3, 0, 4, 2]
    assert found.gains.tolist() == [8, 5, 4, 6, 3, 4]


def test_the_best_of_all_topics_is_not_the_best_of_all_rows():
    assert cluster_top(SCORES, TOPICS, 3).tolist() == [1, 5, 3]
    assert cluster_top(SCORES, TOPICS, 2).tolist() == [1, 5]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=30), st.data())
def test_a_budget_of_the_size_of_the_union_gives_the_union(rows, data):
    scores, topics = (np.array(column) for column in zip(*rows, strict=True))
    best = data.draw(st.integers(0, len(rows)))
    per_topic = data.draw(st.integers(0, 3))
    expected = union(scores, topics, best, per_topic)
    assert set(cluster_top(scores.astype(float), topics, len(expected), per_topic).tolist()) == expected


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows):
    assert cluster_top(SCORES[:rows], TOPICS[:rows], rows).tolist() == list(range(rows))


@settings(deadline=None, max_examples=40)
@given(st.permutations(range(6)))
def test_the_order_of_rows_without_ties_does_not_matter(order):
    scores = np.array([6.0, 8, 4, 2, 3, 5])
    found = cluster_top(scores[order], TOPICS[order], 4)
    assert np.array(order)[found].tolist() == cluster_top(scores, TOPICS, 4).tolist()
