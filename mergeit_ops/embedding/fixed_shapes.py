"""Batches of fixed shapes, so that the result for a text does not depend on the other texts.

A matrix product of another shape may run in another kernel, which adds in another order. Therefore the padded length of
a text depends only on the text, each padded length has a fixed batch size, and every batch is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray

_SHORTEST = 8
_LEAST_STEP = 4
_STEPS_PER_DOUBLING = 4
_KERNEL_ROWS = 16  # kernels work on blocks of rows; a partial block may run in another kernel


@dataclass(frozen=True)
class FixedBatch:
    """Texts that go through a model together.

    :param positions: positions of the texts.
    :param length: tokens to which each text is padded.
    :param size: rows of the batch; the rows after the texts are padding.
    :param padded: whether a row has padding. A model may skip the mask if no row has padding, and then runs other
        kernels. So texts that fill the window have their own batches, and any other batch has at least one row with
        padding.
    """

    positions: NDArray[np.int64]
    length: int
    size: int
    padded: bool


def padded_length(length: int, window: int | None = None) -> int:
    """Return the number of tokens to which a text is padded; at most a fifth is padding, except for short texts.

    :param length: tokens of the text.
    :param window: most tokens that the model takes; None: any.
    """
    step = max(_LEAST_STEP, (1 << (max(length, 1) - 1).bit_length()) // (2 * _STEPS_PER_DOUBLING))
    padded = max(_SHORTEST, -(-length // step) * step)
    return padded if window is None else max(length, min(padded, window))


def texts_per_batch(padded: int, tokens: int) -> int:
    """Return the number of texts in each batch of a length.

    :param padded: tokens to which each text is padded.
    :param tokens: approximate tokens of a batch; a longer text is a separate batch.
    """
    texts = tokens // padded
    return max(1, texts - texts % (_KERNEL_ROWS // gcd(padded, _KERNEL_ROWS)))


def fixed_batches(lengths: Sequence[int], tokens: int, window: int | None = None) -> list[FixedBatch]:
    """Divide texts into batches of fixed shapes.

    :param lengths: tokens of each text.
    :param tokens: approximate tokens of a batch.
    :param window: most tokens that the model takes; None: any.
    :return: the batches, the longest texts first, so that a lack of memory shows at once.
    """
    shapes: dict[tuple[int, bool], list[int]] = {}
    for position, length in enumerate(lengths):
        shapes.setdefault((padded_length(length, window), length != window), []).append(position)
    batches = []
    for (padded, with_padding), positions in sorted(shapes.items(), reverse=True):
        size = texts_per_batch(padded, tokens)
        with_padding = with_padding and size > 1
        start = 0
        while start < len(positions):
            some = positions[start : start + size]
            if with_padding and len(some) == size and all(lengths[position] == padded for position in some):
                some.pop()  # its row is filled with padding
            batches.append(FixedBatch(np.asarray(some, dtype=np.int64), padded, size, with_padding))
            start += len(some)
    return batches
