"""k-center: golden values by hand, the plain loop, and the bound of its radius."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.selection.k_center import KCenter, k_center
from mergeit_ops.core.selection.method import Pool

P6 = np.array([[0], [1], [2], [5], [9], [10]], dtype=np.float32)
X6 = np.array([(1, 0), (0.6, 0.8), (0, 1), (-1, 0), (0, -1), (0.8, 0.6)], dtype=np.float32)


def radius(vectors, chosen) -> float:
    distances = np.linalg.norm(vectors[:, None] - vectors[list(chosen)][None], axis=2)
    return float(distances.min(axis=1).max())


def plain(vectors, budget, first) -> list[int]:
    chosen = [first]
    while len(chosen) < budget:
        distances = np.linalg.norm(vectors[:, None] - vectors[chosen][None], axis=2).min(axis=1)
        distances[chosen] = -1
        chosen.append(int(distances.argmax()))
    return chosen


def test_golden_from_the_centroid():
    found = KCenter().select(Pool(P6), 4)
    assert found.indices.tolist() == [3, 0, 5, 2]
    assert found.gains.tolist() == [np.inf, 5, 5, 2]
    found = KCenter().select(Pool(X6), 4)
    assert found.indices.tolist() == [1, 4, 3, 0]
    assert found.gains[1:] == pytest.approx([1.897367, 1.414214, 0.894427])
    assert radius(X6, found.indices) == pytest.approx(0.632456, abs=1e-6)


def test_golden_from_the_first_row():
    assert KCenter("first").select(Pool(P6), 5).indices.tolist() == [0, 5, 3, 2, 1]
    assert [radius(P6, k_center(P6, m, 0).indices) for m in (2, 3)] == [5, 2]
    assert radius(X6, k_center(X6, 3, 0).indices) == pytest.approx(1.414214, abs=1e-6)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_random_start_depends_on_the_seed_alone(seed):
    first, again = (KCenter("random", seed).select(Pool(P6), 3).indices.tolist() for _ in range(2))
    assert first == again
    assert len({KCenter("random", number).select(Pool(P6), 1).indices[0] for number in range(40)}) == 6


@given(st.lists(st.tuples(st.integers(-8, 8), st.integers(-8, 8)), min_size=2, max_size=8), st.data())
def test_the_radius_is_at_most_twice_the_smallest(points, data):
    vectors = np.array(points, dtype=np.float32)
    budget = data.draw(st.integers(1, len(vectors)))
    found = k_center(vectors, budget, data.draw(st.integers(0, len(vectors) - 1))).indices
    assert len(set(found.tolist())) == budget
    least = min(radius(vectors, chosen) for chosen in combinations(range(len(vectors)), budget))
    assert radius(vectors, found) <= 2 * least + 1e-5


@given(st.lists(st.tuples(st.integers(-8, 8), st.integers(-8, 8)), min_size=2, max_size=40), st.data())
def test_few_candidates_at_a_time_choose_as_the_plain_loop_does(points, data):
    vectors = np.array(points, dtype=np.float32)
    budget = data.draw(st.integers(1, len(vectors)))
    found = k_center(vectors, budget, 0, candidates=data.draw(st.integers(1, 6)))
    assert found.indices.tolist() == plain(vectors, budget, 0)
    assert (np.diff(found.gains[1:]) <= 0).all()


def test_duplicates_whose_distance_is_rounding_come_last_in_order():
    distinct = np.random.default_rng(0).normal(size=(20, 384)).astype(np.float32)
    distinct /= np.linalg.norm(distinct, axis=1, keepdims=True)
    found = k_center(np.concatenate([distinct, distinct[::-1]]), 25, 0)
    assert sorted(found.indices[:20].tolist()) == list(range(20))
    assert found.indices[20:].tolist() == list(range(20, 25))
    assert found.gains[20:].tolist() == [0] * 5


def test_duplicates_come_last():
    vectors = np.array([[0], [0], [0], [4], [4], [9]], dtype=np.float32)
    found = k_center(vectors, 6, 0)
    assert found.indices.tolist() == [0, 5, 3, 1, 2, 4]
    assert found.gains.tolist() == [np.inf, 9, 4, 0, 0, 0]
