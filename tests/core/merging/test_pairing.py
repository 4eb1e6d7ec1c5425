"""Pairing: disjoint groups above the threshold, the right ones first."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mergeit_ops.core.merging import pairing as pairing_module
from mergeit_ops.core.merging.pairing import Group, find_groups

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
    group_keys = ["a" if position % 3 else "b" for position in range(40)]
    found = find_groups(vectors, 0.5, pairing, size, group_keys=group_keys)
    expected = []
    for kind in "ab":
        rows = [position for position in range(40) if group_keys[position] == kind]
        expected += [
            tuple(rows[member] for member in group.members) for group in find_groups(vectors[rows], 0.5, pairing, size)
        ]
    assert members(found) == sorted(expected)
    assert members(found) != members(find_groups(vectors, 0.5, pairing, size))
    assert find_groups(vectors, 0.5, pairing, size, group_keys=range(40)) == []


def test_the_best_pairs_are_taken_whatever_their_kind():
    groups = find_groups(np.repeat(X6, 2, axis=0), 0.55, merge_ratio=0.5, group_keys=[0, 0, 1, 1] * 3)
    assert members(groups) == [(0, 1), (2, 3), (4, 5)]


def joined_one_pair_at_a_time(vectors: np.ndarray, threshold: float, size: int) -> list[tuple[int, ...]]:
    """Join two groups when the last of the pairs between them has come, the most similar pairs first."""
    rows, columns = np.triu_indices(len(vectors), 1)
    cosines = np.einsum("ij,ij->i", vectors[rows], vectors[columns])
    order = [k for k in np.lexsort((columns, rows, -cosines)) if cosines[k] > np.float32(threshold)]
    groups = [{row} for row in range(len(vectors))]
    seen: set[tuple[int, int]] = set()
    for k in order:
        i, j = int(rows[k]), int(columns[k])
        seen.add((i, j))
        one, other = groups[i], groups[j]
        if len(one) + len(other) <= size and all((min(a, b), max(a, b)) in seen for a in one for b in other):
            for row in one | other:
                groups[row] = one | other
    return sorted({tuple(sorted(group)) for group in groups if len(group) > 1})


def nearly(vectors: np.ndarray, noise: float, seed: int = 0) -> np.ndarray:
    moved = vectors + noise * np.random.default_rng(seed).normal(size=vectors.shape)
    return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)


def two_thirds_above_one_another(n: int) -> np.ndarray:
    """Rows of which any two unequal ones have the very same cosine, .25."""
    vectors = np.zeros((n, 48), dtype=np.float32)
    vectors[:, 0] = 0.5
    vectors[np.arange(n), np.random.default_rng(0).integers(1, 48, n)] = np.float32(0.75**0.5)
    return vectors


def with_ties(n: int) -> dict[str, tuple[np.ndarray, float]]:
    """Rows by what makes their pairs alike, each with a threshold."""
    one, few = unit_vectors(1, 48, 0), unit_vectors(5, 48, 1)
    clumps = few[np.random.default_rng(2).integers(0, 5, n)]
    half = np.repeat([[1.0, 0.0], [0.5, 0.75**0.5]], [n // 2, n - n // 2], axis=0).astype(np.float32)
    return {
        "one vector": (np.repeat(one, n, axis=0), 0.55),
        "one vector, signed zeros": (np.where(np.arange(n)[:, None] % 2, X6[:1], -X6[3:4]), 0.55),
        "a few vectors": (clumps, 0.55),
        "nearly one vector": (nearly(np.repeat(one, n, axis=0), 1e-8), 0.55),
        "nearly a few vectors": (nearly(clumps, 1e-7), 0.55),
        "dense clumps": (nearly(clumps, 1e-3), 0.55),
        "a dense core and outliers": (
            np.concatenate(
                [nearly(np.repeat(one, n // 2, axis=0), 1e-3), nearly(np.repeat(one, n - n // 2, axis=0), 0.1)]
            ),
            0.2,
        ),
        "all pairs above the threshold": (unit_vectors(n, 48, 3), -1.0),
        "ties at the threshold": (two_thirds_above_one_another(n), 0.25),
        "ties just above the threshold": (two_thirds_above_one_another(n), 0.2499),
        "half of the pairs at the threshold": (half, 0.5),
    }


KINDS_OF_TIES = list(with_ties(10))


@pytest.mark.parametrize("size", [2, 3, 4, 7])
@pytest.mark.parametrize("kind", KINDS_OF_TIES)
@pytest.mark.parametrize("known", [2, 16])
def test_groups_of_rows_with_ties_are_those_of_the_definition(kind, size, known, monkeypatch):
    monkeypatch.setattr(pairing_module, "_NEIGHBOURS", known)
    vectors, threshold = with_ties(90)[kind]
    assert members(find_groups(vectors, threshold, max_group_size=size)) == joined_one_pair_at_a_time(
        vectors, threshold, size
    )


@settings(max_examples=200, deadline=None)
@given(
    numbers=st.lists(st.lists(st.integers(-1, 2), min_size=3, max_size=3), min_size=2, max_size=30),
    noise=st.sampled_from([0.0, 1e-8, 1e-3]),
    threshold=st.sampled_from([-1.0, 0.0, 0.5, 0.8, 0.999]),
    size=st.integers(2, 5),
)
def test_groups_are_those_of_the_definition(numbers, noise, threshold, size):
    vectors = nearly(np.array(numbers, dtype=np.float32) + np.float32([0.1, 0, 0]), noise)
    assert members(find_groups(vectors, threshold, max_group_size=size)) == joined_one_pair_at_a_time(
        vectors, threshold, size
    )


class Counted:
    """Counts cosines as they are computed: those of matrix products, and those of single pairs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cosines = 0
        cosines, cosines_to = pairing_module._cosines, pairing_module._Distinct.cosines_to

        def of_pairs(vectors, rows, others):
            self.cosines += len(rows)
            return cosines(vectors, rows, others)

        def of_a_row(distinct, row, others):
            self.cosines += len(others)
            return cosines_to(distinct, row, others)

        monkeypatch.setattr(pairing_module, "_cosines", of_pairs)
        monkeypatch.setattr(pairing_module._Distinct, "cosines_to", of_a_row)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("kind", KINDS_OF_TIES)
def test_a_pair_of_rows_is_looked_at_a_few_times_at_most_however_many_tie(kind, size, monkeypatch):
    n = 1_000
    vectors, threshold = with_ties(n)[kind]
    counted = Counted(monkeypatch)
    find_groups(vectors, threshold, max_group_size=size)
    # A row that is compared with all others again and again would make it hundreds.
    assert counted.cosines <= (2 if size == 2 else 8) * n * (n - 1) / 2


@pytest.mark.parametrize("pairing", ["best_first", "first_come"])
@pytest.mark.parametrize(("size", "n"), [(2, 10_000), (3, 3_000)])
def test_many_equal_rows_join_in_order(size, n, pairing):
    groups = find_groups(np.repeat(unit_vectors(1, 8, 0), n, axis=0), 0.55, pairing, max_group_size=size)
    assert members(groups) == [tuple(range(row, row + size)) for row in range(0, n - size + 1, size)]


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("seed", range(4))
def test_first_come_takes_the_first_row_that_fits_to_all_of_its_group(seed, size):
    vectors = whole_numbers(300, 6, seed)
    similar, free, expected = vectors @ vectors.T > 0.25, set(range(300)), []
    for row in range(300):
        group = [row]
        for other in range(row + 1, 300) if row in free else ():
            if other in free and len(group) < size and similar[other, group].all():
                group.append(other)
        if len(group) > 1:
            free -= set(group)
            expected.append(tuple(group))
    assert members(find_groups(vectors, 0.25, "first_come", size)) == expected


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
    group_keys = ["a", "b"] * 10
    groups = find_groups(unit_vectors(20, 4, 0), 0.5, "random", max_group_size=3, group_keys=group_keys)
    assert sorted(len(group.members) for group in groups) == [3] * 6
    assert all(len({group_keys[member] for member in group.members}) == 1 for group in groups)


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


@given(seed=st.integers(0, 10**6), threshold=st.floats(-1, 1), width=st.integers(2, 5))
def test_two_rows_are_paired_as_they_are_beside_a_row_unlike_both(seed, threshold, width):
    """A topic of two rows is looked at in another way than larger ones."""
    two = np.zeros((2, width + 1), dtype=np.float32)
    two[:, :-1] = unit_vectors(2, width, seed)
    apart = np.zeros((1, width + 1), dtype=np.float32)
    apart[0, -1] = 1
    both = find_groups(np.concatenate([two, apart]), max(threshold, 0.0))
    assert find_groups(two, max(threshold, 0.0)) == both
