"""A small representative sample: spread over topics, and within each topic over lengths."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["seeded_order", "spread_order"]


def seeded_order(ids: Sequence[str], seed: int) -> NDArray[np.int64]:
    """Return rows in a random order that depends on their ids and the seed, not on their positions.

    :param ids: n ids, all different.
    :param seed: of the order.
    :return: (n,) positions.
    """
    keys = [hashlib.sha256(f"{seed}:{one}".encode("utf-8", "surrogatepass")).digest() for one in ids]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)


def spread_order(topics: Sequence[int], lengths: Sequence[int], seed: int = 42) -> NDArray[np.int64]:
    """Return rows in an order such that the first m rows, for any m, are spread over topics and lengths like all rows.

    Rows are sorted by topic, then by length, then by position. They are taken at the places of the van der Corput
    sequence in base 2 (each new place is in the middle of the widest gap), shifted by the seed. A sample of m rows is
    therefore a systematic sample with implicit strata: from a topic with a share p of the rows it has p m rows, plus or
    minus about log2(m), both short and long. A larger sample contains the smaller one.

    :param topics: (n,) topic of each row.
    :param lengths: (n,) length of each row, in any unit.
    :param seed: start of the sequence.
    :return: (n,) positions, each once.
    """
    n = len(topics)
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    line = np.lexsort((np.asarray(lengths), np.asarray(topics)))
    bits = (n - 1).bit_length()
    places = np.zeros(1)
    for bit in range(bits):
        places = np.concatenate([places, places + 0.5 ** (bit + 1)])
    # At least n places at equal distances, one for each row.
    turned = (places + np.random.default_rng(seed).random()) % 1.0
    cells = np.minimum((turned * n).astype(np.int64), n - 1)
    _, first = np.unique(cells, return_index=True)
    return line[cells[np.sort(first)]]
