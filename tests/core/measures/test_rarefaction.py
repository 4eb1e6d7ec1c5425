"""Measures of subsets: the mean over all of them, worked out from the set alone."""

from itertools import combinations

import numpy as np
import pytest

from mergeit_ops.core.measures.diversity import near_duplicates, redundancy
from mergeit_ops.core.measures.rarefaction import redundancy_of_subsets, topics_of_subsets
from tests.core.measures.test_pseudo_values import TWINS


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6])
def test_redundancy_is_the_mean_over_all_subsets(size):
    subsets = [redundancy(TWINS[list(rows)]) for rows in combinations(range(6), size)]
    assert redundancy_of_subsets(near_duplicates(TWINS).counts, size) == pytest.approx(np.mean(subsets))


@pytest.mark.parametrize("size", [1, 2, 4, 7])
def test_topics_are_the_mean_over_all_subsets(size):
    topics = [0, 0, 0, 0, 1, 1, 2]
    subsets = [len({topics[row] for row in rows}) for rows in combinations(range(7), size)]
    assert topics_of_subsets(np.bincount(topics), size) == pytest.approx(np.mean(subsets))


def test_many_rows_do_not_overflow():
    assert redundancy_of_subsets(np.full(50_000, 49_999), 2) == pytest.approx(1)
    assert topics_of_subsets(np.array([49_999, 1]), 25_000) == pytest.approx(1.5)
