"""Random samples of a stream, in bounded memory."""

from __future__ import annotations

import hashlib
import heapq
import random
from typing import Generic, TypeVar

__all__ = ["Reservoir", "Sketch", "text_key"]

_Item = TypeVar("_Item")


class Sketch(Generic[_Item]):
    """Keeps the items of a stream with the smallest keys. With random keys they are a random sample.

    Sketches of several sets with the same keys agree: an item that two sets share is in both samples or in neither, if
    both use the same bound.

    :param size: maximum number of items to keep.
    """

    def __init__(self, size: int) -> None:
        self.seen = 0
        self.bound = 1.0
        """The sketch has all items with keys below this bound."""
        self._size = size
        self._heap: list[tuple[float, int, _Item]] = []

    def add(self, key: float, item: _Item) -> None:
        """Add an item of the stream.

        :param key: key in [0, 1).
        :param item: the item.
        """
        self.seen += 1
        entry = (-key, self.seen, item)
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, entry)
            return
        dropped = heapq.heapreplace(self._heap, entry) if self._heap and entry > self._heap[0] else entry
        self.bound = min(self.bound, -dropped[0])

    def below(self, bound: float = 1.0) -> list[_Item]:
        """Return the items with keys below the given bound and the sketch's own bound, in the order of the stream."""
        lowest = min(bound, self.bound)
        return [
            item for _, _, item in sorted((entry for entry in self._heap if -entry[0] < lowest), key=lambda e: e[1])
        ]


def text_key(text: str, seed: int) -> float:
    """Return a pseudo-random key in [0, 1). Texts that differ only in spaces and case have the same key.

    :param text: any text.
    :param seed: seed of the keys.
    """
    told = f"{seed} {' '.join(text.split()).casefold()}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(told, digest_size=8).digest(), "big") / 2**64


class Reservoir(Generic[_Item]):
    """Keeps a uniform random sample of a stream (algorithm R).

    :param size: maximum number of items to keep.
    :param seed: seed of the sample.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.items: list[_Item] = []
        self.seen = 0
        self._size = size
        self._random = random.Random(seed)

    def add(self, item: _Item) -> None:
        """Add an item of the stream."""
        self.seen += 1
        if len(self.items) < self._size:
            self.items.append(item)
        elif (place := self._random.randrange(self.seen)) < self._size:
            self.items[place] = item
