"""Embed each distinct text once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["encode_distinct"]


def encode_distinct(
    texts: Sequence[str], width: int, encode: Callable[[list[str]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Return the embeddings of texts; identical texts are embedded once.

    :param texts: n texts.
    :param width: dimensions of an embedding.
    :param encode: function that embeds m different texts, at least one, as (m, width) float32.
    :return: (n, width) float32.
    """
    if not texts:
        return np.zeros((0, width), dtype=np.float32)
    position: dict[str, int] = {}
    row_of_text = [position.setdefault(text, len(position)) for text in texts]
    return encode(list(position))[row_of_text]
