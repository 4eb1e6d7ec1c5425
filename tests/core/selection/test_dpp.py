"""Determinantal point process: golden values, determinants computed whole, and a rank that is used up."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.selection.dpp import DPP, MOST_FACTORS, Kernel, greedy_map, mean_distance
from mergeit_ops.core.selection.method import Pool

X6 = np.array([(1, 0), (0.6, 0.8), (0, 1), (-1, 0), (0, -1), (0.8, 0.6)], dtype=np.float32)
NO_START = np.zeros(0, np.int64)


def rbf(vectors, bandwidth=1.0):
    squared = ((vectors[:, None] - vectors[None]).astype(np.float64) ** 2).sum(axis=2)
    return np.exp(-squared / (2 * bandwidth**2))


def log_det(kernel, rows) -> float:
    return float(np.linalg.slogdet(kernel[np.ix_(rows, rows)])[1])


def random_rows(n, d=5):
    vectors = np.random.default_rng(n).normal(size=(n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_golden_of_the_rbf_kernel():
    found = DPP("first", bandwidth=1).select(Pool(X6), 4)
    assert found.indices.tolist() == [0, 3, 2, 4]
    assert found.gains == pytest.approx([0, -0.018485, -0.272341, -0.290827], abs=1e-6)
    assert found.gains.sum() == pytest.approx(-0.581653, abs=1e-6)
    # Without a start the first of the equal rows is chosen.
    assert greedy_map(X6, 4, NO_START, Kernel()).indices.tolist() == [0, 3, 2, 4]


def test_golden_of_the_greedy_beside_the_optimum():
    kernel = rbf(X6)
    three, four = (max(log_det(kernel, rows) for rows in combinations(range(6), size)) for size in (3, 4))
    assert (three, four) == pytest.approx((-0.197070, -0.581653), abs=1e-6)
    assert log_det(kernel, [3, 4, 5]) == pytest.approx(three)
    assert log_det(kernel, [0, 2, 3, 4]) == pytest.approx(four)
    assert greedy_map(X6, 3, NO_START, Kernel()).gains.sum() == pytest.approx(-0.290826, abs=1e-6)


def test_golden_of_a_linear_kernel_whose_rank_is_used_up():
    found = DPP("first", kernel="linear").select(Pool(X6), 4)
    assert found.indices[:2].tolist() == [0, 2]
    assert found.gains[:2] == pytest.approx([0, 0], abs=1e-6)
    # The others lie in the plane of these two. Of what is left, two are chosen that are at right angles, or nearly.
    assert found.gains[2:].tolist() == [-np.inf] * 2
    cosine = X6[found.indices[2]] @ X6[found.indices[3]]
    rest = [row for row in range(6) if row not in (0, 2, found.indices[2])]
    assert abs(cosine) == min(abs(X6[found.indices[2]] @ X6[row]) for row in rest)


def test_golden_of_weights():
    quality = np.exp(0.5 * (np.array([6, 8, 4, 4, 4, 5]) - 4) / 4)
    found = greedy_map(X6, 4, NO_START, Kernel(), quality)
    assert found.indices.tolist() == [1, 4, 3, 0]
    assert found.gains.sum() == pytest.approx(log_det(quality[:, None] * rbf(X6) * quality, [1, 4, 3, 0]), abs=1e-5)


@pytest.mark.parametrize("n", [8, 40])
def test_choices_and_gains_are_those_of_whole_determinants(n):
    vectors = random_rows(n)
    kernel = rbf(vectors, 0.7)
    chosen: list[int] = []
    gains = []
    for _ in range(8):
        value = {row: log_det(kernel, [*chosen, row]) for row in range(n) if row not in chosen}
        gains.append(max(value.values()) - (log_det(kernel, chosen) if chosen else 0))
        chosen.append(max(value, key=lambda row: (round(value[row], 9), -row)))
    found = greedy_map(vectors, 8, NO_START, Kernel("rbf", 0.7))
    assert found.indices.tolist() == chosen
    assert found.gains == pytest.approx(gains, abs=1e-3)


def test_rows_that_are_chosen_already_decide_about_the_others():
    pool = Pool(X6, chosen=np.array([False, False, False, False, True, True]))
    found = DPP("column", bandwidth=1).select(pool, 3)
    kernel = rbf(X6)
    best = max((0, 1, 2, 3), key=lambda row: log_det(kernel, [4, 5, row]))
    assert found.indices.tolist() == [4, 5, best]


def test_rows_that_are_chosen_already_may_be_duplicates():
    vectors = np.repeat(X6[[0, 3, 2]], 2, axis=0)
    pool = Pool(vectors, chosen=np.array([True, True, False, False, False, False]))
    found = DPP("column", bandwidth=1).select(pool, 4)
    assert found.indices.tolist() == [0, 1, 2, 4]
    assert found.gains[:2].tolist() == [0, -np.inf]


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_duplicates_are_chosen_only_when_nothing_else_is_left(kernel):
    distinct = random_rows(60, 64)
    found = DPP(kernel=kernel).select(Pool(np.concatenate([distinct, distinct[::-1]])), 80)
    assert len({min(row, 119 - row) for row in found.indices[:60].tolist()}) == 60
    assert np.isfinite(found.gains[:60]).all()
    assert found.gains[60:].tolist() == [-np.inf] * 20
    assert len(set(found.indices)) == 80


def test_equal_rows_go_to_the_lowest_position():
    assert DPP().select(Pool(np.repeat(X6[:1], 5, axis=0)), 3).indices.tolist() == [0, 1, 2]


@given(st.permutations(range(14)))
def test_the_order_of_the_rows_does_not_matter(order):
    vectors = random_rows(14)
    found = DPP().select(Pool(vectors[order]), 5).indices
    assert set(np.array(order)[found]) == set(DPP().select(Pool(vectors), 5).indices)


def test_the_bandwidth_is_the_root_mean_square_distance():
    squared = [((X6[a] - X6[b]) ** 2).sum() for a, b in combinations(range(6), 2)]
    assert mean_distance(X6) == pytest.approx(np.sqrt(np.mean(squared)))
    assert mean_distance(X6[[0, 0]]) == mean_distance(X6[:1]) == 1


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
@pytest.mark.parametrize("rows", [0, 1, 6])
def test_a_budget_of_all_rows_keeps_all(kernel, rows):
    assert sorted(DPP(kernel=kernel).select(Pool(X6[:rows]), rows).indices) == list(range(rows))


def test_too_many_rows_are_refused_with_the_number_that_is_not():
    assert DPP().refusal(100_000, MOST_FACTORS // 100_000) == ""
    assert "Choose at most 2,500" in DPP().refusal(100_000, 2_501)


def test_a_very_narrow_kernel_still_meets_the_budget_without_a_row_twice():
    vectors = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chosen = DPP(bandwidth=1e-25).select(Pool(vectors), 10).indices
    assert len(set(chosen.tolist())) == 10
