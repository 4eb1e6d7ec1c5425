"""Setting rows aside for validation, whole topics at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

__all__ = ["held_out_topics"]


def held_out_topics(sizes: Mapping[int, int], share: float, seed: int) -> frozenset[int]:
    """Choose the topics whose rows are held out.

    Rows of one topic are alike: with some of them in training, a loss on the others tells how well they were learnt
    by heart. Topics are taken in an order that the seed draws, each that still fits; where not even one does, the
    smallest.

    :param sizes: rows of each topic, at least 1.
    :param share: of all rows that should be held out, in [0, 1). What comes out is at most that, to the nearest row,
        but for the one topic that is held out in any case; it never is all rows.
    :param seed: of the order. It does not depend on the machine, or on the release of Python.
    :raises ValueError: if a share of a single topic, or of none, is asked for.
    """
    if share == 0:
        return frozenset()
    if len(sizes) < 2:
        raise ValueError(f"rows of {len(sizes)} topics cannot be split by topic")
    rows = sum(sizes.values())
    wanted = min(max(1, round(share * rows)), rows - 1)
    chosen: set[int] = set()
    for topic in sorted(sizes, key=lambda topic: _drawn(topic, seed)):
        if sizes[topic] <= wanted:
            chosen.add(topic)
            wanted -= sizes[topic]
    return frozenset(chosen or {min(sizes, key=lambda topic: (sizes[topic], _drawn(topic, seed)))})


def _drawn(topic: int, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{topic}".encode()).digest()
