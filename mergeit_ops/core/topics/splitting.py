"""Hold out rows for validation, by whole topics."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

__all__ = ["held_out_topics"]


def held_out_topics(sizes: Mapping[int, int], share: float, seed: int) -> frozenset[int]:
    """Choose the topics whose rows are held out.

    Rows of one topic are similar. If some of them are in training, a loss on the others measures memorisation. Topics
    are taken in an order drawn by the seed, each one that still fits; if none fits, the smallest topic is taken.

    :param sizes: rows of each topic, at least 1.
    :param share: share of all rows to hold out, in [0, 1). The result is at most this share, to the nearest row, except
        that at least one topic is held out. It is never all rows.
    :param seed: seed of the order, which does not depend on the machine or the release of Python.
    :raises ValueError: if there are fewer than two topics and a share is asked for.
    """
    if share == 0:
        return frozenset()
    if len(sizes) < 2:
        raise ValueError("rows of fewer than two topics cannot be split by topic")
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
