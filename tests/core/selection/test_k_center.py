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
ROW_0 = np.array([0])


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
    assert [radius(P6, k_center(P6, m, ROW_0).indices) for m in (2, 3)] == [5, 2]
    assert radius(X6, k_center(X6, 3, ROW_0).indices) == pytest.approx(1.414214, abs=1e-6)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_random_start_depends_on_the_seed_alone(seed):
    first, again = (KCenter("random", seed).select(Pool(P6), 3).indices.tolist() for _ in range(2))
    assert first == again
    assert len({KCenter("random", number).select(Pool(P6), 1).indices[0] for number in range(40)}) == 6


@given(st.lists(st.tuples(st.integers(-8, 8), st.integers(-8, 8)), min_size=2, max_size=8), st.data())
def test_the_radius_is_at_most_twice_the_smallest(points, data):
    vectors = np.array(points, dtype=np.float32)
    budget = data.draw(st.integers(1, len(vectors)))
    found = k_center(vectors, budget, np.array([data.draw(st.integers(0, len(vectors) - 1))])).indices
    assert len(set(found.tolist())) == budget
    least = min(radius(vectors, chosen) for chosen in combinations(range(len(vectors)), budget))
    assert radius(vectors, found) <= 2 * least + 1e-5


@given(st.lists(st.tuples(st.integers(-8, 8), st.integers(-8, 8)), min_size=2, max_size=40), st.data())
def test_few_candidates_at_a_time_choose_as_the_plain_loop_does(points, data):
    vectors = np.array(points, dtype=np.float32)
    budget = data.draw(st.integers(1, len(vectors)))
    found = k_center(vectors, budget, ROW_0, candidates=data.draw(st.integers(1, 6)))
    assert found.indices.tolist() == plain(vectors, budget, 0)
    assert (np.diff(found.gains[1:]) <= 0).all()


def test_duplicates_whose_distance_is_rounding_come_last_in_order():
    distinct = np.random.default_rng(0).normal(size=(20, 384)).astype(np.float32)
    distinct /= np.linalg.norm(distinct, axis=1, keepdims=True)
    found = k_center(np.concatenate([distinct, distinct[::-1]]), 25, ROW_0)
    assert sorted(found.indices[:20].tolist()) == list(range(20))
    assert found.indices[20:].tolist() == list(range(20, 25))
    assert found.gains[20:].tolist() == [0] * 5


def test_duplicates_come_last():
    vectors = np.array([[0], [0], [0], [4], [4], [9]], dtype=np.float32)
    found = k_center(vectors, 6, ROW_0)
    assert found.indices.tolist() == [0, 5, 3, 1, 2, 4]
    assert found.gains.tolist() == [np.inf, 9, 4, 0, 0, 0]


def marks(rows, size=6):
    return np.isin(np.arange(size), rows)


def test_golden_from_rows_that_are_chosen_already():
    method = KCenter("column")
    found = method.select(Pool(P6, chosen=marks([2, 3])), 4)
    assert found.indices.tolist() == [2, 3, 5, 0]
    assert found.gains.tolist() == [np.inf, np.inf, 5, 2]
    assert radius(P6, found.indices) == 1
    assert method.needs == {"vectors", "chosen"}


def test_golden_of_diverse_evol_steps_on_the_same_vectors_equal_one_run():
    steps = [np.array([0])]
    for _ in range(2):
        chosen = Pool(P6, chosen=marks(np.concatenate(steps)))
        found = KCenter("column").select(chosen, 2 + sum(map(len, steps)))
        steps.append(found.indices[-2:])
    assert np.concatenate(steps).tolist() == [0, 5, 3, 2, 1] == k_center(P6, 5, ROW_0).indices.tolist()


def test_golden_of_diverse_evol_steps_whose_vectors_change():
    first = k_center(P6, 3, ROW_0).indices
    second = KCenter("column").select(Pool(P6**2, chosen=marks(first)), 5).indices
    assert [*first, *second[3:]] == [0, 5, 3, 4, 2]


def test_where_no_row_is_chosen_already_the_start_is_the_centroid():
    found = KCenter("column").select(Pool(P6, chosen=marks([])), 4)
    assert found.indices.tolist() == KCenter().select(Pool(P6), 4).indices.tolist()


def test_more_chosen_rows_than_are_compared_at_a_time(monkeypatch):
    monkeypatch.setattr("mergeit_ops.core.selection.k_center.CANDIDATES", 2)
    chosen = Pool(P6, chosen=marks([0, 1, 2, 4, 5]))
    assert KCenter("column").select(chosen, 6).indices.tolist() == [0, 1, 2, 4, 5, 3]


@given(st.permutations(range(12)))
def test_the_order_of_the_rows_does_not_matter(order):
    vectors = np.random.default_rng(5).normal(size=(12, 3)).astype(np.float32)
    found = KCenter().select(Pool(vectors[order]), 5).indices
    assert set(np.array(order)[found]) == set(KCenter().select(Pool(vectors), 5).indices)


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows):
    assert KCenter().select(Pool(P6[:rows]), rows).indices.tolist() == list(range(rows))
