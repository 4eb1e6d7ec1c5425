"""One name for tags that mean the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.tags.similar_pairs import similar_pairs

__all__ = ["implications", "implied_by", "name_rank", "pairs_of", "synonyms"]


def name_rank(tag: str, counts: Mapping[str, int]) -> tuple[int, int, str]:
    """Return the rank of a tag as the name of several tags: the most frequent, then the shortest, then the
    alphabetically first is best.

    :param tag: one of the tags.
    :param counts: number of rows with each tag.
    :return: the rank; the name has the lowest.
    """
    return -counts[tag], len(tag), tag


def synonyms(
    tags: Sequence[str], counts: Mapping[str, int], vectors: NDArray[np.float32], similarity: float
) -> dict[str, str]:
    """Return the name of each tag: the common name of all tags that are connected to it by pairs of similar vectors.

    The groups are connected components, as DBSCAN finds them with `min_samples` 1. They are transitive: a chain of
    similar tags becomes one tag, although its ends may differ.

    :param tags: n tags.
    :param counts: number of rows with each tag.
    :param vectors: (n, d) float32 of unit norm.
    :param similarity: lowest cosine of a similar pair.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    first, second, _ = similar_pairs(vectors, similarity)
    graph = csr_array((np.ones(len(first), np.int8), (first, second)), shape=(len(tags), len(tags)))
    _, labels = connected_components(graph, directed=False)
    names: dict[int, str] = {}
    for label, tag in zip(labels.tolist(), tags, strict=True):
        names[label] = min(names.get(label, tag), tag, key=lambda name: name_rank(name, counts))
    return {tag: names[label] for label, tag in zip(labels.tolist(), tags, strict=True)}


def implications(
    counts: Mapping[str, int], pairs: Mapping[tuple[str, str], int], min_support: int, min_confidence: float
) -> list[tuple[str, str, int, float]]:
    """Return the rules "a row with the first tag has the second", each with its support and its confidence.

    :param counts: number of rows with each tag.
    :param pairs: number of rows with both tags of a pair; each pair once.
    :param min_support: fewest rows with both tags.
    :param min_confidence: smallest share of the rows with the first tag that also have the second.
    """
    return [
        (tag, other, support, support / counts[tag])
        for pair, support in pairs.items()
        if support >= min_support
        for tag, other in (pair, pair[::-1])
        if support / counts[tag] >= min_confidence
    ]


def implied_by(
    counts: Mapping[str, int], pairs: Mapping[tuple[str, str], int], min_support: int, min_confidence: float
) -> dict[str, str]:
    """Return, for each tag that nearly always occurs with another tag, the other one, which replaces it.

    If two tags imply each other, the one with the better name stays. A tag that implies several tags becomes the most
    certain one.

    :param counts: see `implications`.
    :param pairs: see `implications`.
    :param min_support: see `implications`.
    :param min_confidence: see `implications`.
    """
    found: dict[str, tuple[float, int, tuple[int, int, str]]] = {}
    for tag, other, support, confidence in implications(counts, pairs, min_support, min_confidence):
        rank = name_rank(other, counts)
        if rank < name_rank(tag, counts):
            found[tag] = min(found.get(tag, (0.0, 0, rank)), (-confidence, -support, rank))
    names = {tag: rank[-1] for tag, (_, _, rank) in found.items()}
    return {tag: _last(tag, names) for tag in names}


def _last(tag: str, names: Mapping[str, str]) -> str:
    # There is no cycle, because each name is better than the one before.
    while tag in names:
        tag = names[tag]
    return tag


def pairs_of(tags: Sequence[str]) -> list[tuple[str, str]]:
    """Return all pairs of the distinct tags of a row, each in alphabetical order."""
    return list(combinations(sorted(set(tags)), 2))
