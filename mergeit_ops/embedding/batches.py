"""Divide texts into batches for a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def batches_of_like_lengths(
    lengths: Sequence[int], *, most_tokens: int | None = None, most_texts: int | None = None
) -> list[NDArray[np.int64]]:
    """Divide texts into batches with little padding.

    :param lengths: tokens of each text.
    :param most_tokens: most tokens of a batch, including padding; a longer text is a separate batch. None: no limit.
    :param most_texts: most texts of a batch, >= 1; None: no limit.
    :return: positions, batch by batch, the longest texts first, so that a lack of memory shows at once.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    batches = []
    start = 0
    while start < len(order):
        room = len(order)
        if most_tokens is not None:
            # The first text of a batch is its longest; the others are padded to its length.
            room = max(1, most_tokens // max(1, lengths[order[start]]))
        if most_texts is not None:
            room = min(room, most_texts)
        batches.append(order[start : start + room])
        start += room
    return batches
