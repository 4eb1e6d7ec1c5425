"""Which rows of a topic are similar enough to be merged (MergeIT, stage 2)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Pairing = Literal["best_first", "first_come"]
PAIRINGS: tuple[Pairing, ...] = ("best_first", "first_come")


@dataclass(frozen=True)
class Group:
    """Rows to be merged into one.

    :param members: positions, ascending; at least two.
    :param similarity: the lowest cosine between two members.
    """

    members: tuple[int, ...]
    similarity: float


def find_groups(
    vectors: NDArray[np.float32],
    threshold: float,
    pairing: Pairing = "best_first",
    max_group_size: int = 2,
    merge_ratio: float | None = None,
) -> list[Group]:
    """Find disjoint groups of rows in which every pair is more similar than a threshold.

    :param vectors: (n, d) float32 of unit norm: the rows of one topic that may be merged.
    :param threshold: cosine that every pair of a group must exceed; equality is not enough.
    :param pairing: `best_first`: the most similar pair first. `first_come`: rows in order, each taking its first free
        neighbours, as in the released code.
    :param max_group_size: rows in a group at most, >= 2. Larger groups grow by complete linkage.
    :param merge_ratio: with `best_first` only: stop once this share of the n rows is in groups; None means no limit.
    :return: groups in order of their first member.
    """
    if len(vectors) < 2:
        return []
    cosine = vectors @ vectors.T
    # An inner product is symmetric only up to rounding; one value per pair makes the order of pairs total.
    cosine = np.minimum(cosine, cosine.T)
    if pairing == "first_come":
        groups = _first_come(cosine, threshold, max_group_size)
    elif max_group_size == 2:
        groups = _best_pairs(cosine, threshold)
    else:
        groups = _complete_linkage(cosine, threshold, max_group_size)
    if merge_ratio is not None:
        groups = _best_until(groups, merge_ratio * len(vectors))
    return sorted(groups, key=lambda group: group.members)


def _best_pairs(cosine: NDArray[np.float32], threshold: float) -> list[Group]:
    """Match greedily by similarity, ties to the lowest positions.

    Two rows that are each other's best are matched by the greedy whatever else is free, so whole rounds of such pairs
    are matched at once instead of walking a sorted list of all pairs.
    """
    open_pairs = cosine.copy()
    np.fill_diagonal(open_pairs, -np.inf)
    open_pairs[open_pairs <= threshold] = -np.inf
    position = np.arange(len(cosine))
    groups: list[Group] = []
    while True:
        best = open_pairs.argmax(axis=1)
        has_neighbour = open_pairs[position, best] > -np.inf
        mutual = np.flatnonzero(has_neighbour & (best[best] == position) & (position < best))
        if not len(mutual):
            return groups
        partners = best[mutual]
        groups += [Group((int(i), int(j)), float(cosine[i, j])) for i, j in zip(mutual, partners, strict=True)]
        matched = np.concatenate([mutual, partners])
        open_pairs[matched, :] = -np.inf
        open_pairs[:, matched] = -np.inf


def _complete_linkage(cosine: NDArray[np.float32], threshold: float, max_group_size: int) -> list[Group]:
    """Join the two groups whose least similar pair is the most similar, while groups stay small enough.

    Pairs come in order of similarity. Two groups may join at the moment the last of the pairs between them has come:
    that pair is their least similar one, and none of them lies at or below the threshold.
    """
    rows, columns = np.nonzero(np.triu(cosine > threshold, k=1))
    order = np.lexsort((columns, rows, -cosine[rows, columns]))
    group_of = list(range(len(cosine)))
    members = {i: [i] for i in group_of}
    pairs_seen: defaultdict[int, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
    for i, j in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        a, b = group_of[i], group_of[j]
        pairs_seen[a][b] += 1
        pairs_seen[b][a] += 1
        complete = pairs_seen[a][b] == len(members[a]) * len(members[b])
        if not complete or len(members[a]) + len(members[b]) > max_group_size:
            continue
        for other, count in pairs_seen.pop(b).items():
            if other != a:
                pairs_seen[a][other] += count
                pairs_seen[other][a] += count
                del pairs_seen[other][b]
        del pairs_seen[a][b]
        for member in members[b]:
            group_of[member] = a
        members[a] += members.pop(b)
    return [_group(cosine, group) for group in members.values() if len(group) > 1]


def _first_come(cosine: NDArray[np.float32], threshold: float, max_group_size: int) -> list[Group]:
    free = np.ones(len(cosine), dtype=bool)
    groups = []
    for i in range(len(cosine)):
        if not free[i]:
            continue
        group = [i]
        candidates = free & (cosine[i] > threshold)
        candidates[: i + 1] = False
        while len(group) < max_group_size and candidates.any():
            j = int(candidates.argmax())
            group.append(j)
            candidates &= cosine[j] > threshold
            candidates[: j + 1] = False
        if len(group) > 1:
            free[group] = False
            groups.append(_group(cosine, group))
    return groups


def _group(cosine: NDArray[np.float32], members: list[int]) -> Group:
    members = sorted(members)
    return Group(tuple(members), min(float(cosine[i, j]) for i, j in combinations(members, 2)))


def _best_until(groups: list[Group], rows_wanted: float) -> list[Group]:
    taken: list[Group] = []
    rows = 0
    for group in sorted(groups, key=lambda group: (-group.similarity, group.members)):
        if rows >= rows_wanted:
            break
        taken.append(group)
        rows += len(group.members)
    return taken
