"""How much of each parent a merged answer keeps: sentence-level facility-location coverage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.sentences import split_clauses, split_sentences

__all__ = ["covering_pieces", "least_coverage", "parent_coverage", "split_sentences"]

_BLOCK_SENTENCES = 512


def covering_pieces(merged: str) -> list[str]:
    """Return what a parent's sentences are compared with: the sentences of a merged answer and their clauses.

    Clauses because a merge often makes one sentence of two: neither is like the whole, each is like its half.

    :param merged: the merged answer.
    :return: distinct pieces, sentences first; empty for a blank text.
    """
    sentences = split_sentences(merged)
    return list(dict.fromkeys([*sentences, *(clause for sentence in sentences for clause in split_clauses(sentence))]))


def parent_coverage(parent: NDArray[np.float32], merged: NDArray[np.float32]) -> float | None:
    """Return the mean, over a parent's sentences, of the best cosine to a sentence of the merge.

    :param parent: (p, d) float32 of unit norm: the sentences of a parent's answer.
    :param merged: (m, d) float32 of unit norm: the pieces of the merged answer, see `covering_pieces`.
    :return: a value in [-1, 1]; 1 when every sentence of the parent is there verbatim; None when either side is empty.
    """
    if not len(parent) or not len(merged):
        return None
    # In blocks: books have too many sentences for all pairs at once.
    blocks = range(0, len(parent), _BLOCK_SENTENCES)
    best = np.concatenate([(parent[row : row + _BLOCK_SENTENCES] @ merged.T).max(axis=1) for row in blocks])
    # Inner products of unit vectors exceed 1 by rounding.
    return min(1.0, float(best.mean()))


def least_coverage(parents: Sequence[NDArray[np.float32]], merged: NDArray[np.float32]) -> float | None:
    """Return the coverage of the parent that the merge keeps least of.

    :param parents: at least one; each (p, d) float32 of unit norm.
    :param merged: (m, d) float32 of unit norm.
    :return: a value in [-1, 1]; None when any parent or the merge has no sentence.
    """
    kept = [parent_coverage(parent, merged) for parent in parents]
    known = [value for value in kept if value is not None]
    return min(known) if known and len(known) == len(kept) else None
