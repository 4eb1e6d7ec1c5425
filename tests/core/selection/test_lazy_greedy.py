"""Lazy greedy: the greedy choice, with few recomputed gains."""

import numpy as np
import pytest

from mergeit_ops.core.selection.lazy_greedy import lazy_greedy
from tests.core.selection.toys import X6, directions


def plain(similarities, budget, bonus=None):
    """Every gain anew in each step, in float64."""
    kernel = np.maximum(similarities.astype(np.float64), 0)
    extra = np.zeros(len(kernel)) if bonus is None else bonus
    covered, chosen, gains = np.zeros(kernel.shape[1]), [], []
    for _ in range(budget):
        worth = np.maximum(kernel - covered, 0).sum(axis=1) + extra
        worth[chosen] = -np.inf
        chosen.append(int(worth.argmax()))
        gains.append(worth[chosen[-1]])
        covered = np.maximum(covered, kernel[chosen[-1]])
    return chosen, gains


def test_golden_choice_of_six_directions():
    # Row sums of max(cosine, 0): 2.4, 3.36, 2.4, 1, 1, 3.36. After row 1, rows 3 and 4 add 1 each, row 0 adds 0.4.
    found = lazy_greedy((X6 @ X6.T).round(4), 4)
    assert found.indices.tolist() == [1, 3, 4, 0]
    assert found.gains == pytest.approx([3.36, 1, 1, 0.4], abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("with_bonus", [False, True])
def test_it_chooses_what_a_greedy_that_computes_every_gain_does(seed, with_bonus):
    vectors = directions(60, seed=seed)
    bonus = np.random.default_rng(seed).random(60) if with_bonus else None
    found = lazy_greedy(vectors @ vectors.T, 25, bonus)
    chosen, gains = plain(vectors @ vectors.T, 25, bonus)
    assert found.indices.tolist() == chosen
    assert found.gains == pytest.approx(gains, abs=1e-4)
    assert (np.diff(found.gains) <= 1e-5).all()


def test_equal_rows_go_to_the_lowest_position_and_all_rows_can_be_chosen():
    found = lazy_greedy(np.ones((4, 4), np.float32), 4)
    assert found.indices.tolist() == [0, 1, 2, 3]
    assert found.gains.tolist() == [4, 0, 0, 0]


def test_without_a_budget_nothing_is_chosen():
    assert len(lazy_greedy(X6 @ X6.T, 0).indices) == 0


def test_rows_may_cover_other_points_than_themselves():
    similarities = np.array([[0.9, 0.0, 0.1], [0.2, 0.8, 0.7]], dtype=np.float32)
    found = lazy_greedy(similarities, 2)
    assert found.indices.tolist() == [1, 0]
    assert found.gains == pytest.approx([1.7, 0.7])


def test_likeness_below_zero_covers_nothing():
    assert lazy_greedy(np.full((2, 2), -1.0, np.float32), 2).gains.tolist() == [0, 0]
