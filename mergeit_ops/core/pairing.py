"""Which rows of a topic are similar enough to be merged (MergeIT, stage 2)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
from loguru import logger
from numpy.typing import NDArray

Pairing = Literal["best_first", "first_come", "random"]
PAIRINGS: tuple[Pairing, ...] = ("best_first", "first_come", "random")

_BLOCK_ENTRIES = 2**23  # similarities held at once: 32 MB
_NEIGHBOURS = 16
_MOST_PAIRS = 5_000_000
_ROUNDING = 1e-5  # what a product of matrices may be off by


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
    kinds: Sequence[Hashable] | None = None,
    seed: Sequence[int] = (42,),
) -> list[Group]:
    """Find disjoint groups of rows: random ones, or such that every pair in them is more similar than a threshold.

    :param vectors: (n, d) float32 of unit norm: the rows of one topic that may be merged.
    :param threshold: cosine that every pair of a group must exceed; equality is not enough.
    :param pairing: `best_first`: the most similar pair first. `first_come`: rows in order, each taking its first free
        neighbours, as in the released code. `random`: any rows, whatever the threshold; the paper's control.
    :param max_group_size: rows in a group at most, >= 2. Larger groups grow by complete linkage.
    :param merge_ratio: share of the n rows that should be in groups; None means no limit. `best_first` stops once it is
        reached, `random` takes a group more or less by lot, so that many topics come to it together; not with
        `first_come`.
    :param kinds: n values; only rows of equal ones may share a group. None: all rows may.
    :param seed: of `random`; whole numbers >= 0, such as one for all topics and the topic's own.
    :return: groups in order of their first member.
    """
    by_kind = _rows_by_kind(kinds, len(vectors))
    if pairing == "random":
        generator = np.random.default_rng(list(seed))
        drawn = _random_groups(by_kind, max_group_size, generator)
        if merge_ratio is not None:
            # The rest by lot: rounded alike, many small topics of one size would be far from the share together.
            wanted = merge_ratio * len(vectors) / max_group_size
            drawn = drawn[: int(wanted) + int(generator.random() < wanted % 1)]
        return [_group(vectors, members) for members in sorted(drawn)]
    if len(by_kind) == 1:
        # As nearly always; a selection of all rows would be a copy of them.
        groups = _groups_of_a_kind(vectors, threshold, pairing, max_group_size)
    else:
        groups = [
            replace(group, members=tuple(int(rows[member]) for member in group.members))
            for rows in by_kind
            for group in _groups_of_a_kind(vectors[rows], threshold, pairing, max_group_size)
        ]
    if merge_ratio is not None:
        groups = _best_until(groups, merge_ratio * len(vectors))
    return sorted(groups, key=lambda group: group.members)


def _rows_by_kind(kinds: Sequence[Hashable] | None, count: int) -> list[NDArray[np.int64]]:
    """Return the positions of the rows of each kind, ascending."""
    if kinds is None:
        return [np.arange(count)]
    rows: defaultdict[Hashable, list[int]] = defaultdict(list)
    for position, kind in enumerate(kinds):
        rows[kind].append(position)
    return [np.array(positions) for positions in rows.values()]


def _groups_of_a_kind(
    vectors: NDArray[np.float32], threshold: float, pairing: Pairing, max_group_size: int
) -> list[Group]:
    if len(vectors) < 2:
        return []
    if pairing == "first_come":
        return _first_come(vectors, threshold, max_group_size)
    if max_group_size == 2:
        return _best_pairs(vectors, threshold)
    return _complete_linkage(vectors, threshold, max_group_size)


def _cosines(vectors: NDArray[np.float32], rows: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return one cosine per pair, (m,) float32.

    A matrix product is symmetric only up to rounding, and rounds otherwise in another block; the sum over one pair is
    the same for both of its orders, which makes the order of pairs total.
    """
    block = max(1, _BLOCK_ENTRIES // vectors.shape[1])
    parts = [
        np.einsum("ij,ij->i", vectors[rows[start : start + block]], vectors[others[start : start + block]])
        for start in range(0, len(rows), block)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)


def _neighbours(
    vectors: NDArray[np.float32], rows: NDArray[np.int64], others: NDArray[np.int64], threshold: float, most: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]:
    """Find the rows most similar to each of some rows, block by block.

    :param vectors: (n, d) float32 of unit norm.
    :param rows: m positions.
    :param others: positions of the rows that may be neighbours, ascending.
    :param threshold: cosine that a neighbour must exceed.
    :param most: neighbours of a row at most.
    :return: (m, most) positions, most similar first, equal ones by position, -1 where there are no more; their cosines;
        (m,) whether those are all.
    """
    found = np.full((len(rows), most), -1, dtype=np.int64)
    similarities = np.full((len(rows), most), -np.inf, dtype=np.float32)
    complete = np.ones(len(rows), dtype=bool)
    among = vectors if len(others) == len(vectors) else vectors[others]
    block = max(1, _BLOCK_ENTRIES // len(others))
    for start in range(0, len(rows), block):
        part = rows[start : start + block]
        cosine = vectors[part] @ among.T
        own = np.searchsorted(others, part)
        there = np.flatnonzero((own < len(others)) & (others[np.minimum(own, len(others) - 1)] == part))
        cosine[there, own[there]] = -np.inf
        above = cosine > np.float32(threshold - _ROUNDING)
        many = np.flatnonzero(np.count_nonzero(above, axis=1) > most)
        if len(many):
            lowest = np.partition(cosine[many], -most, axis=1)[:, -most] - _ROUNDING
            above[many] = cosine[many] > lowest[:, None]
            complete[start + many] = False
        # Of a flat array the few that are true are found in a third of the time.
        row, column = np.divmod(np.flatnonzero(above), len(others))
        other = others[column]
        exact = _cosines(vectors, part[row], other)
        order = np.lexsort((other, -exact, row))
        order = order[exact[order] > np.float32(threshold)]
        row, other, exact = row[order], other[order], exact[order]
        counts = np.bincount(row, minlength=len(part))
        rank = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        kept = rank < most
        found[start + row[kept], rank[kept]] = other[kept]
        similarities[start + row[kept], rank[kept]] = exact[kept]
    return found, similarities, complete


def _best_pairs(vectors: NDArray[np.float32], threshold: float) -> list[Group]:
    """Match greedily by similarity, ties to the lowest positions.

    Two rows that are each other's best are matched by the greedy whatever else is free, so whole rounds of such pairs
    are matched at once instead of walking a sorted list of all pairs. A row knows a few of its best; when all of them
    are taken, it is compared with the rows still free.
    """
    n = len(vectors)
    position = np.arange(n)
    candidates, similarities, complete = _neighbours(vectors, position, position, threshold, _NEIGHBOURS)
    free = np.ones(n, dtype=bool)
    groups: list[Group] = []
    active = np.flatnonzero(candidates[:, 0] >= 0)
    while len(active):
        known = candidates[active]
        usable = (known >= 0) & free[known]
        first = usable.argmax(axis=1)
        has_one = usable[np.arange(len(active)), first]
        best = np.full(n, -1)
        best[active[has_one]] = known[has_one, first[has_one]]
        mine = active[has_one]
        mutual = mine[(best[best[mine]] == mine) & (mine < best[mine])]
        if len(mutual):
            similarity = similarities[mutual, (candidates[mutual] == best[mutual][:, None]).argmax(axis=1)]
            pairs = zip(mutual.tolist(), best[mutual].tolist(), similarity.tolist(), strict=True)
            groups += [Group((i, j), value) for i, j, value in pairs]
            free[mutual] = free[best[mutual]] = False
            active = active[free[active] & (has_one | ~complete[active])]
            continue
        at_a_loss = active[~has_one & ~complete[active]]
        if not len(at_a_loss):
            return groups
        found = _neighbours(vectors, at_a_loss, np.flatnonzero(free), threshold, _NEIGHBOURS)
        candidates[at_a_loss], similarities[at_a_loss], complete[at_a_loss] = found
        active = active[has_one | (candidates[active, 0] >= 0)]
    return groups


def _complete_linkage(vectors: NDArray[np.float32], threshold: float, max_group_size: int) -> list[Group]:
    """Join the two groups whose least similar pair is the most similar, while groups stay small enough.

    Pairs come in order of similarity. Two groups may join at the moment the last of the pairs between them has come:
    that pair is their least similar one, and none of them lies at or below the threshold.
    """
    rows, columns, cosines = _pairs_above(vectors, threshold)
    order = np.lexsort((columns, rows, -cosines))
    group_of = list(range(len(vectors)))
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
    return [_group(vectors, group) for group in members.values() if len(group) > 1]


def _pairs_above(
    vectors: NDArray[np.float32], threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return all pairs above the threshold, lower position first; the most similar ones where they are too many."""
    n = len(vectors)
    block = max(1, _BLOCK_ENTRIES // n)
    lowest = threshold
    pairs = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))
    for start in range(0, n, block):
        cosine = vectors[start : start + block] @ vectors[start:].T
        row, column = np.nonzero(np.triu(cosine > lowest - _ROUNDING, k=1))
        exact = _cosines(vectors, start + row, start + column)
        above = exact > np.float32(lowest)
        new = (start + row[above], start + column[above], exact[above])
        pairs = (
            np.concatenate([pairs[0], new[0]]),
            np.concatenate([pairs[1], new[1]]),
            np.concatenate([pairs[2], new[2]]),
        )
        if len(pairs[0]) > _MOST_PAIRS:
            # All of one similarity go together, so that what is left does not depend on the blocks.
            lowest = float(np.partition(pairs[2], -_MOST_PAIRS)[-_MOST_PAIRS])
            kept = pairs[2] > np.float32(lowest)
            pairs = (pairs[0][kept], pairs[1][kept], pairs[2][kept])
    if lowest > threshold:
        logger.warning(
            f"Pairing: a topic of {n:,} samples has more than {_MOST_PAIRS:,} pairs above the similarity {threshold}; "
            f"its groups are formed of those above {lowest:.4f}. More topics (num_clusters), a higher "
            "similarity_threshold or a max_group_size of 2 avoid this."
        )
    return pairs


def _first_come(vectors: NDArray[np.float32], threshold: float, max_group_size: int) -> list[Group]:
    free = np.ones(len(vectors), dtype=bool)
    groups = []
    block = max(1, _BLOCK_ENTRIES // len(vectors))
    for start in range(0, len(vectors), block):
        cosine = vectors[start : start + block] @ vectors[start:].T
        for i in range(start, min(start + block, len(vectors))):
            if not free[i]:
                continue
            candidates = i + 1 + np.flatnonzero(free[i + 1 :] & (cosine[i - start, i + 1 - start :] > threshold))
            group = [i]
            while len(group) < max_group_size and len(candidates):
                j, candidates = int(candidates[0]), candidates[1:]
                group.append(j)
                if len(group) < max_group_size:
                    candidates = candidates[vectors[candidates] @ vectors[j] > threshold]
            if len(group) > 1:
                free[group] = False
                groups.append(_group(vectors, group))
    return groups


def _group(vectors: NDArray[np.float32], members: list[int]) -> Group:
    members = sorted(members)
    pairs = np.array(list(combinations(members, 2)))
    return Group(tuple(members), float(_cosines(vectors, pairs[:, 0], pairs[:, 1]).min()))


def _random_groups(
    by_kind: Sequence[NDArray[np.int64]], max_group_size: int, rng: np.random.Generator
) -> list[list[int]]:
    """Divide the rows of each kind at random; return the groups' members, ascending, the groups in random order."""
    groups = []
    for rows in by_kind:
        drawn = rng.permutation(rows).tolist()
        parts = [sorted(drawn[start : start + max_group_size]) for start in range(0, len(drawn), max_group_size)]
        groups += [part for part in parts if len(part) > 1]
    return [groups[number] for number in rng.permutation(len(groups))]


def _best_until(groups: list[Group], rows_wanted: float) -> list[Group]:
    taken: list[Group] = []
    rows = 0
    for group in sorted(groups, key=lambda group: (-group.similarity, group.members)):
        if rows >= rows_wanted:
            break
        taken.append(group)
        rows += len(group.members)
    return taken
