"""How much of each parent a merged answer keeps: sentence-level facility-location coverage."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

# A line, or a sentence within one: the end mark stays with its sentence. Latin and CJK marks.
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")


def split_sentences(text: str) -> list[str]:
    """Split a text at line breaks and after sentence marks; blank pieces are dropped.

    :param text: any text.
    :return: sentences in order; empty for a blank text.
    """
    return [piece.strip() for piece in _SENTENCE_END.split(text) if piece.strip()]


def parent_coverage(parent: NDArray[np.float32], merged: NDArray[np.float32]) -> float | None:
    """Return the mean, over a parent's sentences, of the best cosine to a sentence of the merge.

    :param parent: (p, d) float32 of unit norm: the sentences of a parent's answer.
    :param merged: (m, d) float32 of unit norm: the sentences of the merged answer.
    :return: a value in [-1, 1]; 1 when every sentence of the parent is there verbatim; None when either side is empty.
    """
    if not len(parent) or not len(merged):
        return None
    # Inner products of unit vectors exceed 1 by rounding.
    return min(1.0, float((parent @ merged.T).max(axis=1).mean()))
