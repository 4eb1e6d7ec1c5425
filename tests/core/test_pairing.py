"""Pairing: disjoint groups above the threshold, the right ones first."""

from itertools import combinations

import numpy as np
import pytest

from mergeit_ops.core import pairing as pairing_module
from mergeit_ops.core.pairing import Group, find_groups

X6 = np.array([(1, 0), (0.6, 0.8), (0, 1), (-1, 0), (0, -1), (0.8, 0.6)], dtype=np.float32)


def unit_vectors(n: int, width: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def members(groups: list[Group]) -> list[tuple[int, ...]]:
    return [group.members for group in groups]


def test_best_first_takes_the_most_similar_pair_first():
    # Cosines: 1-5 is .96, then 0-5 and 1-2 are .8 but one side is taken, 0-1 likewise.
    groups = find_groups(X6, 0.55)
    assert members(groups) == [(1, 5)]
    assert groups[0].similarity == pytest.approx(0.96, abs=1e-6)


def test_first_come_takes_rows_in_order_with_their_first_free_neighbour():
    # 0 takes 1 (.6), though 5 (.8) is nearer; 2 takes 5 (.6).
    assert members(find_groups(X6, 0.55, "first_come")) == [(0, 1), (2, 5)]


@pytest.mark.parametrize("pairing", ["best_first", "first_come"])
def test_a_cosine_equal_to_the_threshold_is_not_enough(pairing):
    vectors = np.array([(1, 0), (0.5, 0.8660254)], dtype=np.float32)
    exact = float((vectors @ vectors.T)[0, 1])
    assert find_groups(vectors, exact, pairing) == []
    assert members(find_groups(vectors, exact - 1e-4, pairing)) == [(0, 1)]


@pytest.mark.parametrize("pairing", ["best_first", "first_come"])
def test_exact_duplicates_are_paired_lowest_positions_first(pairing):
    vectors = np.tile(np.array([(1, 0)], dtype=np.float32), (5, 1))
    assert members(find_groups(vectors, 0.9, pairing)) == [(0, 1), (2, 3)]


@pytest.mark.parametrize("pairing", ["best_first", "first_come"])
@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_rows_make_no_group(pairing, n):
    assert find_groups(X6[:n], 0.0, pairing) == []


@pytest.mark.parametrize("seed", range(8))
def test_best_first_equals_a_greedy_walk_over_sorted_pairs(seed):
    vectors = unit_vectors(40, 3, seed)
    cosine = vectors @ vectors.T
    pairs = sorted((-cosine[i, j], i, j) for i, j in combinations(range(40), 2) if cosine[i, j] > 0.5)
    taken: set[int] = set()
    expected = []
    for _, i, j in pairs:
        if not {i, j} & taken:
            taken |= {i, j}
            expected.append((i, j))
    assert members(find_groups(vectors, 0.5)) == sorted(expected)


@pytest.mark.parametrize("pairing", ["best_first", "first_come"])
@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("seed", range(4))
def test_groups_are_disjoint_small_enough_and_similar_in_every_pair(pairing, size, seed):
    vectors = unit_vectors(60, 3, seed)
    groups = find_groups(vectors, 0.6, pairing, size)
    seen = [row for group in groups for row in group.members]
    assert len(seen) == len(set(seen))
    assert any(len(group.members) == size for group in groups)
    for group in groups:
        assert len(group.members) <= size
        lowest = min(float(vectors[i] @ vectors[j]) for i, j in combinations(group.members, 2))
        assert lowest > 0.6
        assert group.similarity == pytest.approx(lowest, abs=1e-6)


def test_larger_groups_grow_by_complete_linkage():
    # On a line of angles 0, 10, 20 and 40 degrees: 0-10 and 10-20 tie for nearest. The first pair joins; 20 may join
    # because its farthest member is 20 degrees away; 40 may not, 40 degrees being too far from 0.
    angles = np.radians([0, 10, 20, 40])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert members(find_groups(vectors, float(np.cos(np.radians(30))), max_group_size=4)) == [(0, 1, 2)]


def test_merge_ratio_takes_the_best_pairs_until_it_is_reached():
    angles = np.radians([0, 10, 90, 95, 180, 182, 270, 300])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert members(find_groups(vectors, 0.8)) == [(0, 1), (2, 3), (4, 5), (6, 7)]
    assert members(find_groups(vectors, 0.8, merge_ratio=0.25)) == [(4, 5)]
    assert members(find_groups(vectors, 0.8, merge_ratio=0.3)) == [(2, 3), (4, 5)]
    assert members(find_groups(vectors, 0.8, merge_ratio=1.0)) == [(0, 1), (2, 3), (4, 5), (6, 7)]


def whole_numbers(n: int, width: int, seed: int) -> np.ndarray:
    """Rows whose inner products are exact in any order of summation, with many ties."""
    return np.random.default_rng(seed).integers(-2, 3, (n, width)).astype(np.float32) / 4


def greedy_pairs(vectors: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    similarity = vectors @ vectors.T
    rows, columns = np.nonzero(np.triu(similarity > threshold, k=1))
    taken: set[int] = set()
    pairs = []
    for k in np.lexsort((columns, rows, -similarity[rows, columns])):
        pair = (int(rows[k]), int(columns[k]))
        if not taken & set(pair):
            taken |= set(pair)
            pairs.append(pair)
    return sorted(pairs)


@pytest.mark.parametrize("threshold", [-0.5, 0.25, 1.0])
@pytest.mark.parametrize("known", [1, 3, 16])
@pytest.mark.parametrize("seed", range(3))
def test_rows_that_know_only_a_few_of_their_best_are_paired_as_if_they_knew_all(seed, known, threshold, monkeypatch):
    monkeypatch.setattr(pairing_module, "_NEIGHBOURS", known)
    monkeypatch.setattr(pairing_module, "_BLOCK_ENTRIES", 700)
    vectors = whole_numbers(90, 6, seed)
    assert members(find_groups(vectors, threshold)) == greedy_pairs(vectors, threshold)


@pytest.mark.parametrize("pairing", ["best_first", "first_come"])
@pytest.mark.parametrize("size", [2, 4])
def test_groups_do_not_depend_on_how_many_rows_are_looked_at_at_once(pairing, size, monkeypatch):
    vectors = whole_numbers(90, 6, 0)
    whole = find_groups(vectors, 0.25, pairing, size)
    monkeypatch.setattr(pairing_module, "_BLOCK_ENTRIES", 200)
    assert find_groups(vectors, 0.25, pairing, size) == whole


@pytest.mark.parametrize("pairing", ["best_first", "first_come"])
@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_rows_of_different_kinds_are_grouped_as_if_the_others_were_not_there(pairing, size, seed):
    vectors = unit_vectors(40, 4, seed)
    kinds = ["a" if position % 3 else "b" for position in range(40)]
    found = find_groups(vectors, 0.5, pairing, size, kinds=kinds)
    expected = []
    for kind in "ab":
        rows = [position for position in range(40) if kinds[position] == kind]
        expected += [
            tuple(rows[member] for member in group.members) for group in find_groups(vectors[rows], 0.5, pairing, size)
        ]
    assert members(found) == sorted(expected)
    assert members(found) != members(find_groups(vectors, 0.5, pairing, size))
    assert find_groups(vectors, 0.5, pairing, size, kinds=range(40)) == []


def test_the_best_pairs_are_taken_whatever_their_kind():
    groups = find_groups(np.repeat(X6, 2, axis=0), 0.55, merge_ratio=0.5, kinds=[0, 0, 1, 1] * 3)
    assert members(groups) == [(0, 1), (2, 3), (4, 5)]


def test_large_groups_of_too_many_pairs_are_formed_of_the_most_similar_ones(monkeypatch):
    vectors = unit_vectors(60, 3, 0)
    similarities = np.sort(pairing_module._cosines(vectors, *np.triu_indices(60, 1)))
    monkeypatch.setattr(pairing_module, "_MOST_PAIRS", 100)
    groups = find_groups(vectors, 0.0, max_group_size=3)
    assert groups
    assert groups == find_groups(vectors, float(similarities[-100]), max_group_size=3)


def test_random_pairs_are_disjoint_take_nearly_all_rows_and_no_threshold():
    groups = find_groups(unit_vectors(41, 8, 0), 0.99, "random")
    taken = [member for group in groups for member in group.members]
    assert len(groups) == 20
    assert len(set(taken)) == 40
    assert min(group.similarity for group in groups) < 0


def test_random_pairs_follow_their_seed_alone():
    one, another = unit_vectors(40, 8, 0), unit_vectors(40, 8, 1)
    drawn = members(find_groups(one, 0.5, "random", seed=(42, 3)))
    assert members(find_groups(another, 0.5, "random", seed=(42, 3))) == drawn
    assert members(find_groups(one, 0.5, "random", seed=(42, 4))) != drawn
    assert members(find_groups(one, 0.5, "random", seed=(43, 3))) != drawn


def test_every_pair_is_as_likely_as_any_other():
    # Of 4 rows there are three ways to make two pairs; 600 draws, a fair one stays within 5 standard deviations of 200.
    ways = [tuple(members(find_groups(X6[:4], 0, "random", seed=(seed,)))) for seed in range(600)]
    assert len(set(ways)) == 3
    assert all(142 < ways.count(way) < 258 for way in set(ways))


def test_random_groups_stay_within_a_kind_and_within_their_size():
    kinds = ["a", "b"] * 10
    groups = find_groups(unit_vectors(20, 4, 0), 0.5, "random", max_group_size=3, kinds=kinds)
    assert sorted(len(group.members) for group in groups) == [3] * 6
    assert all(len({kinds[member] for member in group.members}) == 1 for group in groups)


def test_random_pairs_of_many_small_topics_come_to_the_share_together():
    vectors = unit_vectors(12, 4, 0)
    for ratio in (0.05, 0.1, 0.2):
        found = [len(find_groups(vectors, 0.5, "random", merge_ratio=ratio, seed=(42, topic))) for topic in range(400)]
        assert sum(found) == pytest.approx(400 * ratio * 12 / 2, rel=0.15)


def test_random_pairs_come_as_near_to_the_share_as_they_can():
    vectors = unit_vectors(40, 4, 0)
    groups = find_groups(vectors, 0.5, "random", merge_ratio=0.3)
    assert len(groups) == 6
    assert set(members(groups)) < set(members(find_groups(vectors, 0.5, "random")))
    # 9 rows at 0.3 are 1.35 pairs; where `best_first` goes on until the share is reached, there are two.
    assert len(find_groups(vectors[:9], 0.5, "random", merge_ratio=0.3)) in (1, 2)
    assert len(find_groups(vectors[:9], -1, "best_first", merge_ratio=0.3)) == 2
