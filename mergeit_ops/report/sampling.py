"""Random samples of what passes by, in bounded space."""

from __future__ import annotations

import hashlib
import heapq
import random
from typing import Generic, TypeVar

__all__ = ["Reservoir", "Sketch", "text_key"]

_Item = TypeVar("_Item")


class Sketch(Generic[_Item]):
    """Of what passes by, the items with the smallest keys: a random sample, if keys are random.

    Samples of several sets by one key agree with each other: what two sets share is in both samples or in neither.

    :param size: items to keep.
    """

    def __init__(self, size: int) -> None:
        self.seen = 0
        self.bound = 1.0
        """All items with a smaller key are kept."""
        self._size = size
        self._heap: list[tuple[float, int, _Item]] = []

    def add(self, key: float, item: _Item) -> None:
        """Let an item pass.

        :param key: in [0, 1).
        :param item: what may be kept.
        """
        self.seen += 1
        entry = (-key, self.seen, item)
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, entry)
            return
        dropped = heapq.heapreplace(self._heap, entry) if self._heap and entry > self._heap[0] else entry
        self.bound = min(self.bound, -dropped[0])

    def below(self, bound: float = 1.0) -> list[_Item]:
        """Return all items whose keys are below a bound, or below the sketch's own, in the order they passed by."""
        lowest = min(bound, self.bound)
        return [
            item for _, _, item in sorted((entry for entry in self._heap if -entry[0] < lowest), key=lambda e: e[1])
        ]


def text_key(text: str, seed: int) -> float:
    """Return a random key in [0, 1) that texts share which differ in spaces and case only.

    :param text: any text.
    :param seed: another seed gives other keys.
    """
    told = f"{seed} {' '.join(text.split()).casefold()}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(told, digest_size=8).digest(), "big") / 2**64


class Reservoir(Generic[_Item]):
    """A uniform sample of what passes by, of bounded size (algorithm R).

    :param size: items to keep.
    :param seed: of the draws.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.items: list[_Item] = []
        self.seen = 0
        self._size = size
        self._random = random.Random(seed)

    def add(self, item: _Item) -> None:
        """Let an item pass."""
        self.seen += 1
        if len(self.items) < self._size:
            self.items.append(item)
        elif (place := self._random.randrange(self.seen)) < self._size:
            self.items[place] = item
