"""Budgets of topics by the graph cut of their centres."""

import numpy as np
import pytest

from mergeit_ops.core.selection.taylor import graph_cut, taylor_budgets


def test_shares_are_the_golden_ones():
    assert taylor_budgets([2, 1], [20_000, 20_000], 25_000).tolist() == [16_667, 8_333]


@pytest.mark.parametrize(
    ("sizes", "total", "expected"),
    [
        # Weights 5, 2.5 and 1: of 17 rows 10, 5 and 2.
        ([20, 20, 20], 17, [10, 5, 2]),
        # The first has only 4; its other 6 rows go to the two others in equal parts.
        ([4, 20, 20], 17, [4, 8, 5]),
        ([4, 6, 20], 17, [4, 6, 7]),
        ([4, 6, 3], 99, [4, 6, 3]),
        # A topic without rows has no share: 5 / 7.5 and 2.5 / 7.5 of 9, and 0.
        ([20, 20, 0], 9, [6, 3, 0]),
        ([0, 0, 0], 9, [0, 0, 0]),
    ],
)
def test_what_a_small_topic_cannot_use_goes_to_the_others(sizes, total, expected):
    assert taylor_budgets([2, 1, 0], sizes, total).tolist() == expected


def test_the_graph_cut_takes_topics_that_have_much_in_common_with_all_and_little_with_each_other():
    # Two topics point almost the same way, the third away from both.
    centres = np.array([(1, 0), (0.8, 0.6), (0, 1)])
    order, gains = graph_cut(centres)
    # Row sums of the kernel are 1.8, 2.4 and 1.6; 0.4 is taken for a topic's likeness to itself.
    # After topic 1 the others lose 2 * 0.4 * (0.8, 0.6): 1.4 - 0.64 and 1.2 - 0.48.
    assert order == [1, 0, 2]
    np.testing.assert_allclose(gains, [2.0, 0.76, 0.72])


def test_equal_topics_get_equal_shares_but_for_their_redundancy():
    order, gains = graph_cut(np.array([(1.0, 0.0), (0.0, 1.0)]))
    assert order == [0, 1]
    np.testing.assert_allclose(gains, [0.6, 0.6])
    assert taylor_budgets(gains, [50, 50], 10).tolist() == [5, 5]
