"""Which texts go through a model together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def batches_of_like_lengths(
    lengths: Sequence[int], *, most_tokens: int | None = None, most_texts: int | None = None
) -> list[NDArray[np.int64]]:
    """Divide texts into batches in which little is padding.

    :param lengths: tokens of each text.
    :param most_tokens: tokens of a batch at most, padding included; a longer text is a batch of its own. None: any.
    :param most_texts: texts of a batch at most, >= 1; None: any.
    :return: positions, batch by batch, the longest texts first: what does not fit in memory fails at once.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    batches = []
    start = 0
    while start < len(order):
        room = len(order)
        if most_tokens is not None:
            # The first of a batch is its longest, to whose length the others are padded.
            room = max(1, most_tokens // max(1, lengths[order[start]]))
        if most_texts is not None:
            room = min(room, most_texts)
        batches.append(order[start : start + room])
        start += room
    return batches
