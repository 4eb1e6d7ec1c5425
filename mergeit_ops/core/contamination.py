"""Whether a row overlaps with a benchmark, by runs of words and by the meaning of its question."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.products import inner_products

__all__ = ["BOTH", "CLEAN", "NGRAM", "SIMILARITY", "ContaminationBounds", "nearest"]

CLEAN, NGRAM, SIMILARITY, BOTH = "clean", "ngram", "similarity", "both"
"""Whether a row overlaps with a benchmark, and by what."""

_BLOCK_ENTRIES = 2**24
_EQUAL = 1e-6  # products of float32 differ by less
_DIGITS = 5


@dataclass(frozen=True)
class ContaminationBounds:
    """Limits above which a row overlaps.

    :param ngram: largest share of a benchmark text's n-grams that a row may contain; None: n-grams are not compared.
    :param similarity: largest cosine of two questions; None: similarity is not compared.
    """

    ngram: float | None
    similarity: float | None

    def status(self, ngram: float | None, similarity: float | None) -> str:
        """Return whether a row overlaps, and by what.

        :param ngram: highest share of n-grams.
        :param similarity: highest cosine.
        """
        by_ngram = self.ngram is not None and ngram is not None and ngram > self.ngram
        by_similarity = self.similarity is not None and similarity is not None and similarity > self.similarity
        if by_ngram and by_similarity:
            return BOTH
        return NGRAM if by_ngram else SIMILARITY if by_similarity else CLEAN


def nearest(vectors: NDArray[np.float32], others: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return, for each vector, the most similar one of others, and their cosine to five digits.

    :param vectors: (n, d) float32 of unit norm. They are processed in blocks whose products have at most 16 million
        entries.
    :param others: (m, d) float32 of unit norm, m >= 1.
    :return: (n,) positions among `others`, the first among equally similar ones; (n,) cosines.
    """
    positions = np.zeros(len(vectors), dtype=np.int64)
    block = max(1, _BLOCK_ENTRIES // len(others))
    for start in range(0, len(vectors), block):
        products = inner_products(vectors[start : start + block], others)
        # A product may round differently in another block, so values that are equal up to rounding count as equal.
        positions[start : start + block] = np.argmax(products >= products.max(axis=1, keepdims=True) - _EQUAL, axis=1)
    cosines = np.einsum("ij,ij->i", vectors.astype(np.float64), others[positions].astype(np.float64))
    return positions, np.round(cosines, _DIGITS)
