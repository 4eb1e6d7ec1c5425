"""Which rows of a topic are similar enough to be merged (MergeIT, stage 2)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from itertools import combinations, product, repeat
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import inner_products

Pairing = Literal["best_first", "first_come", "random"]
PAIRINGS: tuple[Pairing, ...] = ("best_first", "first_come", "random")

_BLOCK_ENTRIES = 2**23  # similarities held at once: 32 MB
_NEIGHBOURS = 16
_AT_ONCE = 64
_COPYING = 8  # copying a row takes several times as long as multiplying it
_ROUNDING = 1e-5  # largest rounding error of a matrix product


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
    group_keys: Sequence[Hashable] | None = None,
    seed: Sequence[int] = (42,),
) -> list[Group]:
    """Find disjoint groups of rows, either random ones or groups in which every pair is more similar than a threshold.

    :param vectors: (n, d) float32 of unit norm: the rows of one topic that may be merged.
    :param threshold: cosine that every pair of a group must exceed; equality is not enough.
    :param pairing: `best_first`: the most similar pair first. `first_come`: rows in order, each taking its first free
        neighbours, as in the released code. `random`: any rows, whatever the threshold; the paper's control.
    :param max_group_size: most rows in a group, >= 2. Groups above 2 grow by complete linkage.
    :param merge_ratio: share of the n rows that should be in groups; None means no limit. `best_first` stops once it is
        reached. `random` draws whether to take one group more, so that many topics together come close to the share.
        Not with `first_come`.
    :param group_keys: n values; only rows with equal values may share a group. None: all rows may.
    :param seed: seed of `random`: whole numbers >= 0, such as one for all topics and one for this topic.
    :return: groups in order of their first member.
    """
    by_key = _rows_by_key(group_keys, len(vectors))
    if pairing == "random":
        generator = np.random.default_rng(list(seed))
        drawn = _random_groups(by_key, max_group_size, generator)
        if merge_ratio is not None:
            # The remainder is drawn. If it were rounded, many small topics of one size would together be far from the
            # share.
            wanted = merge_ratio * len(vectors) / max_group_size
            drawn = drawn[: int(wanted) + int(generator.random() < wanted % 1)]
        return [_group(vectors, members) for members in sorted(drawn)]
    if len(by_key) == 1:
        # The usual case; indexing with all rows would copy them.
        groups = _groups_of_a_kind(vectors, threshold, pairing, max_group_size)
    else:
        groups = [
            replace(group, members=tuple(int(rows[member]) for member in group.members))
            for rows in by_key
            for group in _groups_of_a_kind(vectors[rows], threshold, pairing, max_group_size)
        ]
    if merge_ratio is not None:
        groups = _best_until(groups, merge_ratio * len(vectors))
    return sorted(groups, key=lambda group: group.members)


def _rows_by_key(group_keys: Sequence[Hashable] | None, count: int) -> list[NDArray[np.int64]]:
    """Return the positions of the rows of each key, ascending."""
    if group_keys is None:
        return [np.arange(count)]
    rows: defaultdict[Hashable, list[int]] = defaultdict(list)
    for position, key in enumerate(group_keys):
        rows[key].append(position)
    return [np.array(positions) for positions in rows.values()]


def _groups_of_a_kind(
    vectors: NDArray[np.float32], threshold: float, pairing: Pairing, max_group_size: int
) -> list[Group]:
    if len(vectors) < 2:
        return []
    if pairing == "first_come":
        return _first_come(vectors, threshold, max_group_size)
    if len(vectors) == 2:
        # Datasets of many small topics have many such groups, and starting the search takes much longer than this
        # shortcut.
        pair = _group(vectors, [0, 1])
        return [pair] if pair.similarity > np.float32(threshold) else []
    return _BestFirst(vectors, threshold, max_group_size).groups()


def _cosines(vectors: NDArray[np.float32], rows: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return one cosine per pair, (m,) float32.

    A matrix product is symmetric only up to rounding, and it rounds differently in another block. A sum for each pair
    is the same in both directions, so the order of pairs is total.
    """
    block = max(1, _BLOCK_ENTRIES // vectors.shape[1])
    parts = [
        np.einsum("ij,ij->i", vectors[rows[start : start + block]], vectors[others[start : start + block]])
        for start in range(0, len(rows), block)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)


class _Distinct:
    """The distinct rows among some rows, so that equal rows are computed only once.

    :param vectors: (n, d) float32.
    """

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        numbers: dict[bytes, int] = {}
        self._all = vectors
        self._number = np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in vectors])
        self._rows = vectors[np.unique(self._number, return_index=True)[1]]

    def cosines_to(self, row: int, others: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the same cosines as `_cosines`, from one row to many others.

        :param row: its position.
        :param others: positions, ascending, at least one.
        """
        vector, behind = self._all[row], len(self._all) - others[0]
        if len(self._rows) < min(behind, _COPYING * len(others)):
            return np.einsum("ij,j->i", self._rows, vector)[self._number[others]]
        if behind < _COPYING * len(others):
            return np.einsum("ij,j->i", self._all[others[0] :], vector)[others - others[0]]
        return np.einsum("ij,j->i", self._all[others], vector)


def _first_of(cosine: NDArray[np.float32], place: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return the positions of the highest cosines, the highest first and ties by place.

    :param cosine: (m,).
    :param place: (m,) whole numbers.
    :param most: most positions to return.
    """
    kept = np.arange(len(cosine))
    if len(cosine) > most:
        lowest = np.partition(cosine, -most)[-most]
        above, equal = np.flatnonzero(cosine > lowest), np.flatnonzero(cosine == lowest)
        first = np.argpartition(place[equal], most - len(above) - 1)[: most - len(above)]
        kept = np.concatenate([above, equal[first]])
    return kept[np.lexsort((place[kept], -cosine[kept]))]


def _neighbours(
    vectors: NDArray[np.float32], distinct: _Distinct, threshold: float, most: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]:
    """Find the later rows that are most similar to each row, block by block.

    :param vectors: (n, d) float32 of unit norm.
    :param distinct: the distinct rows among them.
    :param threshold: cosine that a neighbour must exceed.
    :param most: most neighbours of a row.
    :return: (n, most) positions, most similar first, ties by position, -1 if there are no more; their cosines; (n,)
        whether these are all neighbours.
    """
    n = len(vectors)
    found = np.full((n, most), -1, dtype=np.int64)
    similarities = np.full((n, most), -np.inf, dtype=np.float32)
    complete = np.ones(n, dtype=bool)
    block = max(1, _BLOCK_ENTRIES // n)
    for start in range(0, n, block):
        size = min(block, n - start)
        cosine = vectors[start : start + size] @ vectors[start:].T
        cosine[:, :size][np.tri(size, dtype=bool)] = -np.inf
        above = cosine > np.float32(threshold - _ROUNDING)
        counts = np.count_nonzero(above, axis=1)
        many = np.flatnonzero(counts > most)
        if len(many):
            lowest = np.partition(cosine[many], -most, axis=1)[:, -most] - _ROUNDING
            above[many] = cosine[many] > lowest[:, None]
            counts[many] = np.count_nonzero(above[many], axis=1)
            complete[start + many] = False
        for crowded in np.flatnonzero(counts * _COPYING > cosine.shape[1]).tolist():
            # With thousands of ties, a row has too many pairs to list them together with those of all others.
            others = start + np.flatnonzero(above[crowded])
            exact = distinct.cosines_to(start + crowded, others)
            others, exact = others[exact > np.float32(threshold)], exact[exact > np.float32(threshold)]
            first = _first_of(exact, others, most)
            found[start + crowded, : len(first)] = others[first]
            similarities[start + crowded, : len(first)] = exact[first]
            above[crowded] = False
        # In a flat array, finding the few true values takes a third of the time.
        row, column = np.divmod(np.flatnonzero(above), cosine.shape[1])
        exact = _cosines(vectors, start + row, start + column)
        order = np.lexsort((column, -exact, row))
        order = order[exact[order] > np.float32(threshold)]
        row, column, exact = row[order], column[order], exact[order]
        counts = np.bincount(row, minlength=size)
        rank = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        kept = rank < most
        found[start + row[kept], rank[kept]] = start + column[kept]
        similarities[start + row[kept], rank[kept]] = exact[kept]
    # If a row has fewer neighbours than it could, it has seen all rows that exceed the threshold.
    return found, similarities, complete | (found[:, -1] < 0)


_Offer = tuple[float, int, int, int, int, int, int, bool]
"""An offer to join two groups: minus the cosine of their least similar pair, and the lower and the higher row of this
pair, which give the order in which groups join; the two groups, and their sizes when the offer was made; whether the
first group's list goes on."""


class _BestFirst:
    """Joins the two groups whose least similar pair is the most similar, as long as groups stay small enough. Ties go
    to the lowest positions. This is greedy matching for groups of two, and complete linkage for larger groups.

    A group has the number of its first row and lists its best offers among the later groups. A heap holds the first
    offer of each list. When a group grows, it only becomes less similar to the others. So an outdated offer is still an
    upper bound, and the first current offer on the heap is the best of all. A group is compared with all rows again
    only if its list is used up. This is rare even with ties, because a group only considers later groups: of a thousand
    equal rows the first joins the second, and no other row has listed one of them.

    :param vectors: (n, d) float32 of unit norm, n >= 2.
    :param threshold: cosine that every pair of a group must exceed.
    :param max_group_size: most rows of a group.
    """

    def __init__(self, vectors: NDArray[np.float32], threshold: float, max_group_size: int) -> None:
        self._vectors = vectors
        self._distinct = _Distinct(vectors)
        self._threshold = threshold
        self._max_group_size = max_group_size
        n = len(vectors)
        self._group_of = np.arange(n)
        self._size = np.ones(n, dtype=np.int64)  # 0 for a row that has joined a group before it
        self._grown: dict[int, list[int]] = {}
        found, similarities, complete = _neighbours(vectors, self._distinct, threshold, _NEIGHBOURS)
        self._complete: list[bool] = complete.tolist()
        counts = np.count_nonzero(found >= 0, axis=1).tolist()
        self._offers: list[Iterator[_Offer]] = [
            # Not longer than the shortest list, because empty places make no offer.
            zip(
                values,
                repeat(row),
                others,
                repeat(row),
                others,
                repeat(1),
                repeat(1),
                repeat(True, count),
                strict=False,
            )
            for row, values, others, count in zip(
                range(n), (-similarities).tolist(), found.tolist(), counts, strict=True
            )
        ]

    def groups(self) -> list[Group]:
        """Return the groups of at least two rows."""
        heap = [offer for row in range(len(self._size)) if (offer := self._next_listed(row)) is not None]
        heapify(heap)
        lowest: dict[int, float] = {}
        while heap:
            minus, _, _, group, other, size, size_of_other, listed = heappop(heap)
            offers: list[_Offer | None] = []
            if self._fit(group, other):
                if (self._size[group], self._size[other]) == (size, size_of_other):
                    self._join(group, other)
                    # Earlier pairs were more similar.
                    lowest[group] = -minus
                else:
                    offers.append(self._renewed(group, other))
            if listed and self._size[group]:
                offers.append(self._next_listed(group))
            for offer in offers:
                if offer is not None:
                    heappush(heap, offer)
        return [Group(tuple(sorted(members)), lowest[group]) for group, members in self._grown.items()]

    def _fit(self, group: int, other: int) -> bool:
        size, size_of_other = self._size[group], self._size[other]
        return bool(size and size_of_other and size + size_of_other <= self._max_group_size)

    def _join(self, group: int, other: int) -> None:
        members = self._grown.setdefault(group, [group])
        joining = self._grown.pop(other, [other])
        members += joining
        self._group_of[joining] = group
        self._size[group], self._size[other] = len(members), 0

    def _renewed(self, group: int, other: int) -> _Offer | None:
        """Return the current offer of two groups, at least one of which has grown; None if it is below the
        threshold."""
        pairs = list(product(self._grown.get(group, [group]), self._grown.get(other, [other])))
        cosines = _cosines(self._vectors, *np.array(pairs).T)
        if not cosines.min() > np.float32(self._threshold):
            return None
        minus, low, high = max((-cosine, *sorted(pair)) for cosine, pair in zip(cosines.tolist(), pairs, strict=True))
        return minus, low, high, group, other, int(self._size[group]), int(self._size[other]), False

    def _next_listed(self, group: int) -> _Offer | None:
        """Return a group's next offer, or an upper bound of it; None if there are no more."""
        while self._size[group] < self._max_group_size:
            for offer in self._offers[group]:
                if self._fit(group, offer[4]):
                    return offer
            if self._complete[group]:
                return None
            self._look_again(group)
        return None

    def _look_again(self, group: int) -> None:
        """Compare a group with all later groups that may still join it."""
        n = len(self._size)
        behind = self._group_of[group + 1 :]
        may_join = (behind > group) & (self._size[behind] <= self._max_group_size - self._size[group])
        rows = group + 1 + np.flatnonzero(may_join)
        self._offers[group], self._complete[group] = iter(()), True
        if not len(rows):
            return
        others = self._group_of[rows]
        cosine, pair = self._least_similar(group, rows)
        if (others != rows).any():
            order = np.argsort(others, kind="stable")
            others, starts, counts = np.unique(others[order], return_index=True, return_counts=True)
            lowest = np.minimum.reduceat(cosine[order], starts)
            pair = np.where(cosine[order] == np.repeat(lowest, counts), pair[order], -1)
            cosine, pair = lowest, np.maximum.reduceat(pair, starts)
        above = np.flatnonzero(cosine > np.float32(self._threshold))
        kept = above[_first_of(cosine[above], pair[above], _NEIGHBOURS)]
        self._complete[group] = len(kept) == len(above)
        low, high = np.divmod(pair[kept], n)
        self._offers[group] = zip(
            (-cosine[kept]).tolist(),
            low.tolist(),
            high.tolist(),
            repeat(group),
            others[kept].tolist(),
            repeat(int(self._size[group])),
            self._size[others[kept]].tolist(),
            repeat(True),
            strict=False,
        )

    def _least_similar(self, group: int, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return each row's cosine to the group member that it is least similar to, and a number for this pair.

        The number is the lower position times n plus the higher one. It orders pairs with equal cosines.
        """
        n = len(self._size)
        lowest = np.full(len(rows), np.inf, dtype=np.float32)
        last = np.full(len(rows), -1)
        for member in self._grown.get(group, [group]):
            cosine = self._distinct.cosines_to(member, rows)
            pair = np.minimum(rows, member) * n + np.maximum(rows, member)
            later = (cosine < lowest) | ((cosine == lowest) & (pair > last))
            lowest, last = np.where(later, cosine, lowest), np.where(later, pair, last)
        return lowest, last


def _first_come(vectors: NDArray[np.float32], threshold: float, max_group_size: int) -> list[Group]:
    free = np.ones(len(vectors), dtype=bool)
    groups = []
    block = max(1, _BLOCK_ENTRIES // len(vectors))
    for start in range(0, len(vectors), block):
        cosine = inner_products(vectors[start : start + block], vectors[start:])
        for i in range(start, min(start + block, len(vectors))):
            if not free[i]:
                continue
            candidates = i + 1 + np.flatnonzero(free[i + 1 :] & (cosine[i - start, i + 1 - start :] > threshold))
            group = [i, *candidates[:1].tolist()]
            # A few at a time, because the first few usually complete the group, and a dense cluster has thousands.
            after = 1
            while len(group) < max_group_size and after < len(candidates):
                some = candidates[after : after + _AT_ONCE]
                fitting = np.flatnonzero((inner_products(vectors[some], vectors[group[1:]]) > threshold).all(axis=1))
                group += some[fitting[:1]].tolist()
                after += int(fitting[0]) + 1 if len(fitting) else len(some)
            if len(group) > 1:
                free[group] = False
                groups.append(_group(vectors, group))
    return groups


def _group(vectors: NDArray[np.float32], members: list[int]) -> Group:
    members = sorted(members)
    pairs = np.array(list(combinations(members, 2)))
    return Group(tuple(members), float(_cosines(vectors, pairs[:, 0], pairs[:, 1]).min()))


def _random_groups(
    by_key: Sequence[NDArray[np.int64]], max_group_size: int, rng: np.random.Generator
) -> list[list[int]]:
    """Divide the rows of each kind at random. Return the groups in random order, their members ascending."""
    groups = []
    for rows in by_key:
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
