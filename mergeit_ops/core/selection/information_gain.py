"""Information gain: rows with high scores whose tags are not yet well covered (MIG, arXiv 2504.13835).

Each row gives its score to each of its tags, and a tag passes a share on to similar tags. What a tag has received
counts with an exponent below 1, so a tag that has received much gains little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.selection.method import Need, Pool, Selection, SelectionMethod
from mergeit_ops.core.selection.tag_rows import TagRows

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["GAINS", "Gain", "InformationGain"]

Gain = Literal["exact", "gradient"]
GAINS: tuple[Gain, ...] = get_args(Gain)

_SMALLEST = 1e-6
"""The value of a tag before it receives anything."""


@dataclass(frozen=True)
class InformationGain(SelectionMethod):
    """Rows that greedily raise the information E = sum over tags k of x_k^exponent. Rows without tags come last.

    x_k is what tag k has received from the chosen rows, plus 1e-6, as in the released code, because the gradient of E
    has no bound at 0.

    :param gain: `exact`: how much a row raises E; the selection then reaches at least (1 - 1/e) of the optimum.
        `gradient`: the product of the row's values and the gradient of E, as in the released code. Here a tag without
        information outweighs nearly everything.
    :param exponent: in (0, 1]; with 1, the rows with the highest sums are chosen.
    :param edge_similarity: lowest cosine at which an edge of the graph joins two tags; None: no graph.
    :param propagation: factor of the weights of the edges, at least 0.
    :param normalize_by_tags: whether a row divides its score among its tags instead of giving the whole score to each.
    """

    selected: ClassVar[str] = "the most informative by tags and scores"

    gain: Gain = "exact"
    exponent: float = 0.8
    edge_similarity: float | None = None
    propagation: float = 1.0
    normalize_by_tags: bool = False

    @property
    def needs(self) -> frozenset[Need]:
        """See `SelectionMethod`."""
        return frozenset({"tags", "scores"})

    def select(self, pool: Pool, budget: int) -> Selection:
        """Choose rows; their gains are those of the greedy algorithm.

        :param pool: rows with tags, with scores of at least 0 (each row counts 1 if there are none), and with the edges
            of the graph if there is one.
        :param budget: rows to choose.
        """
        rows = TagRows.of(pool.tags)
        given = self.given(rows, pool.scores, pool.tag_edges)
        information = _INFORMATION[self.gain](len(rows.names), self.exponent)
        chosen, gains = _lazy_greedy(given, np.flatnonzero(rows.counts), budget, information)
        without = np.flatnonzero(rows.counts == 0)[: budget - len(chosen)]
        return Selection(
            np.asarray([*chosen, *without.tolist()], np.int64), np.asarray([*gains, *[0.0] * len(without)])
        )

    def given(
        self, rows: TagRows, scores: NDArray[np.float64], edges: Sequence[tuple[str, str, float]]
    ) -> csr_array[Any]:
        """Return the values that each row gives to each tag.

        :param rows: the tags of n rows, k distinct ones.
        :param scores: (n,) scores, at least 0; empty: each row has 1.
        :param edges: pairs of tags and their weights, each pair once. Pairs with a tag that no row has are left out.
        :return: (n, k) sparse, the tags of each row ascending.
        """
        from scipy.sparse import csr_array

        counts = rows.counts
        each = scores if len(scores) else np.ones(len(counts))
        if self.normalize_by_tags:
            each = each / np.maximum(counts, 1)
        shape = (len(counts), len(rows.names))
        own: csr_array[Any] = csr_array((np.repeat(each, counts), rows.ids, rows.starts), shape=shape)
        shares = self._shares(rows.names, edges)
        if shares is None:
            return own
        given = csr_array(own @ shares)
        given.sort_indices()
        return given

    def _shares(self, names: Sequence[str], edges: Sequence[tuple[str, str, float]]) -> csr_array[Any] | None:
        """Return the (k, k) shares that a tag keeps and passes on to others; None if it keeps everything."""
        from scipy.sparse import csr_array

        numbers = {name: number for number, name in enumerate(names)}
        known = [
            (numbers[first], numbers[second], weight * self.propagation)
            for first, second, weight in edges
            if first in numbers and second in numbers
        ]
        if not known:
            return None
        first, second, weights = zip(*known, strict=True)
        diagonal = range(len(names))
        values = np.concatenate([np.ones(len(names)), weights, weights])
        places = (np.concatenate([diagonal, first, second]), np.concatenate([diagonal, second, first]))
        graph = csr_array((values, places), shape=(len(names), len(names)))
        return csr_array(graph.multiply(1 / graph.sum(axis=1)[:, None]))


class _Information(Protocol):
    """The values that tags have received."""

    def gain(self, tags: Sequence[int], values: Sequence[float]) -> float:
        """Return the gain of a row that gives these values to these tags."""
        ...

    def add(self, tags: Sequence[int], values: Sequence[float]) -> None:
        """Give these values to these tags."""
        ...


class _Exact:
    def __init__(self, tags: int, exponent: float) -> None:
        self._exponent = exponent
        self._received = [_SMALLEST] * tags
        self._counts = [_SMALLEST**exponent] * tags

    def gain(self, tags: Sequence[int], values: Sequence[float]) -> float:
        received, counts, exponent = self._received, self._counts, self._exponent
        return sum([(received[tag] + value) ** exponent - counts[tag] for tag, value in zip(tags, values, strict=True)])

    def add(self, tags: Sequence[int], values: Sequence[float]) -> None:
        for tag, value in zip(tags, values, strict=True):
            self._received[tag] += value
            self._counts[tag] = self._received[tag] ** self._exponent


class _Gradient:
    def __init__(self, tags: int, exponent: float) -> None:
        self._exponent = exponent
        self._received = [_SMALLEST] * tags
        self._slopes = [exponent * _SMALLEST ** (exponent - 1)] * tags

    def gain(self, tags: Sequence[int], values: Sequence[float]) -> float:
        slopes = self._slopes
        return sum([value * slopes[tag] for tag, value in zip(tags, values, strict=True)])

    def add(self, tags: Sequence[int], values: Sequence[float]) -> None:
        for tag, value in zip(tags, values, strict=True):
            self._received[tag] += value
            self._slopes[tag] = self._exponent * self._received[tag] ** (self._exponent - 1)


_INFORMATION: dict[Gain, type[_Exact] | type[_Gradient]] = {"exact": _Exact, "gradient": _Gradient}


def _lazy_greedy(
    given: csr_array[Any], rows: NDArray[np.int64], budget: int, information: _Information
) -> tuple[list[int], list[float]]:
    """Choose rows one by one, each time the row with the highest gain; ties go to the first.

    Gains never rise, so only the gains of the first rows of a heap are computed again.

    :param given: values that each row gives to each tag.
    :param rows: rows to choose from.
    :param budget: most rows to choose.
    :param information: values that the tags have received.
    :return: positions and gains, in the order of choice.
    """
    starts = given.indptr.tolist()

    def parts(row: int) -> tuple[list[int], list[float]]:
        part = slice(starts[row], starts[row + 1])
        return given.indices[part].tolist(), given.data[part].tolist()

    heap = [(-information.gain(*parts(row)), row) for row in rows.tolist()]
    heapify(heap)
    # The number of chosen rows when each gain was last computed.
    computed = [0] * given.shape[0]
    chosen: list[int] = []
    gains: list[float] = []
    while heap and len(chosen) < budget:
        negative, row = heap[0]
        if computed[row] == len(chosen):
            heappop(heap)
            chosen.append(row)
            gains.append(-negative)
            information.add(*parts(row))
        else:
            computed[row] = len(chosen)
            heapreplace(heap, (-information.gain(*parts(row)), row))
    return chosen, gains
