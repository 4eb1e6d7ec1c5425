"""Pairing of many topics, compared with a loop over their pairs.

    python benchmarks/pairing.py [--topics 1000] [--rows 300]

Topics are synthetic: rows around several directions, so that about half of the rows find a partner above the default
threshold. The loop computes the matrix of cosines of each topic, then goes through the sorted pairs in Python. It runs
only on a few topics, where both sides must give the same pairs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from common import table, timed
from numpy.typing import NDArray

from mergeit_ops.core.merging.pairing import find_groups

THRESHOLD = 0.55
LOOPED = 10


def made_up(topics: int, rows: int) -> list[NDArray[np.float32]]:
    """Return (rows, 384) unit vectors for each topic."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(topics):
        directions = rng.normal(size=(rows // 2, 384)).astype(np.float32)
        vectors = directions[rng.integers(0, len(directions), rows)]
        vectors = vectors + 0.8 * rng.normal(size=vectors.shape).astype(np.float32)
        made.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    return made


def looped(vectors: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Pair rows with a loop over all pairs, the most similar first."""
    cosines = vectors @ vectors.T
    pairs = [
        (-float(cosines[i, j]), i, j)
        for i in range(len(vectors))
        for j in range(i + 1, len(vectors))
        if cosines[i, j] > THRESHOLD
    ]
    free = [True] * len(vectors)
    found = []
    for _, i, j in sorted(pairs):
        if free[i] and free[j]:
            free[i] = free[j] = False
            found.append((i, j))
    return sorted(found)


def pair_all(topics: Sequence[NDArray[np.float32]]) -> list[list[tuple[int, ...]]]:
    """Pair rows as the merger does."""
    return [[group.members for group in find_groups(vectors, THRESHOLD)] for vectors in topics]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--topics", type=int, default=1_000)
    parser.add_argument("--rows", type=int, default=300, help="rows of each topic")
    options = parser.parse_args()
    topics = made_up(options.topics, options.rows)
    pair_all(topics[:LOOPED])
    ours, found = timed(lambda: pair_all(topics))
    few = topics[:LOOPED]
    loop, by_loop = timed(lambda: [looped(vectors) for vectors in few])
    assert by_loop == found[: len(few)], "the two sides give different pairs"
    each, each_loop = ours / len(topics), loop / len(few)
    lines = [
        ["a loop over pairs", f"{len(few):,}", f"{loop:.2f}", f"{1000 * each_loop:.1f}", "1.0"],
        ["ours", f"{len(topics):,}", f"{ours:.2f}", f"{1000 * each:.1f}", f"{each_loop / each:.1f}"],
    ]
    pairs = sum(map(len, found))
    print(f"topics of {options.rows:,} rows; {pairs:,} pairs in {options.topics:,} topics\n")
    print(table(("", "topics", "seconds", "ms a topic", "times the loop"), lines))


if __name__ == "__main__":
    main()
