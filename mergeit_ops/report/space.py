"""What came out beside what went in, in the embedding space: a map of it, and how well the one stands for the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.measures.diversity import mean_pairwise_distance, pool_coverage, redundancy, vendi_score
from mergeit_ops.core.measures.projection import project_2d
from mergeit_ops.core.vectors import decode_vectors
from mergeit_ops.report.survey import Point

__all__ = ["Comparison", "Measured", "compare", "embed", "encoder", "map_colours", "topic_map"]

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
Vectors = dict[int, NDArray[np.float32]]
"""Position of a row to the vector that it brings."""
_Item = TypeVar("_Item")

COLOURS = 8
"""That most people can tell apart, colour-blind or not."""

MAP_POINTS = 2_000
DRAWS = 5
_NEIGHBOURS = 6
_PROBES = 8
_SAME_FROM = 0.98  # half-precision, or another batch size, moves a vector a little


@dataclass(frozen=True)
class Measured:
    """How a set of rows does.

    :param name: which.
    :param rows: measured.
    :param coverage: of the pool by it, in [-1, 1].
    :param vendi: effective number of different rows.
    :param redundancy: share of rows with a near twin among them.
    :param distance: mean of 1 - cosine over all pairs.
    """

    name: str
    rows: int
    coverage: float
    vendi: float
    redundancy: float
    distance: float


@dataclass(frozen=True)
class Comparison:
    """What came out beside what went in, and beside as many rows drawn from what went in.

    :param pool: what went in.
    :param drawn: means over the draws.
    :param result: what came out.
    :param share: of what went in that was measured, in (0, 1]. What came out is thinned out by the same draw: a row
        that is in both is measured in both or in neither.
    """

    pool: Measured
    drawn: Measured
    result: Measured
    share: float


def encoder(model: str, say: Callable[[str], None]) -> Encode:
    """Return what embeds texts; the model is loaded when it is first asked for.

    :param model: name or folder.
    :param say: told what takes long.
    """

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        from mergeit_ops.embedding import load_encoder

        say(f"Embedding {len(set(texts)):,} texts with {model} ...")
        return load_encoder(model).encode(texts)

    return encode


def embed(points: Sequence[Sequence[Point]], encode: Encode) -> tuple[list[NDArray[np.float32]], int]:
    """Return the vectors of several sets of rows, in one space, and the number of texts that had to be embedded.

    Vectors that rows bring are used where they are those that the model gives, each set looked at by itself. Where all
    rows of all sets bring them, texts that sets share tell as well, without the model, that one model has made them;
    and a single set is taken at its word.

    :param points: the sets.
    :param encode: texts to vectors of unit norm.
    """
    own = [_brought(part) for part in points]
    complete = all(len(vectors) == len(part) for vectors, part in zip(own, points, strict=True))
    if not (complete and _are_of_one_model(own, points)):
        own = _of_the_model(encode, own, points)
    flat = [point for part in points for point in part]
    starts = np.cumsum([0, *map(len, points)]).tolist()
    brought = {start + row: vector for start, part in zip(starts, own, strict=False) for row, vector in part.items()}
    rest = [number for number in range(len(flat)) if number not in brought]
    texts = [flat[number].query for number in rest]
    embedded = encode(texts) if rest else None
    width = next(iter(brought.values())).shape[0] if embedded is None else embedded.shape[1]
    vectors = np.empty((len(flat), width), dtype=np.float32)
    if embedded is not None:
        vectors[rest] = embedded
    if brought:
        vectors[list(brought)] = np.stack(list(brought.values()))
    return np.split(vectors, starts[1:-1]), len(set(texts))


def _brought(points: Sequence[Point]) -> Vectors:
    """Return the vectors that rows bring, by their position; none where one of them cannot be read."""
    rows = [number for number, point in enumerate(points) if point.vector is not None]
    try:
        vectors = decode_vectors([points[row].vector for row in rows])
    except ValueError:
        # Nothing of a finished run depends on them: its texts are there.
        return {}
    return dict(zip(rows, vectors, strict=True))


def _are_of_one_model(own: Sequence[Vectors], points: Sequence[Sequence[Point]]) -> bool:
    """Tell whether the texts that sets share show that all their vectors are of one model."""
    known: dict[str, NDArray[np.float32]] = {}
    waiting = [
        {part[row].query: vector for row, vector in vectors.items()}
        for vectors, part in zip(own, points, strict=True)
        if vectors
    ]
    while waiting:
        for part in waiting:
            shared = [text for text in part if text in known] if known else list(part)
            if shared:
                break
        else:
            return False
        probes = _probes(shared)
        if known and not _agree([part[text] for text in probes], [known[text] for text in probes]):
            return False
        known |= part
        waiting = [other for other in waiting if other is not part]
    return True


def _of_the_model(encode: Encode, own: Sequence[Vectors], points: Sequence[Sequence[Point]]) -> list[Vectors]:
    """Return the vectors of those sets whose vectors are the model's, by a few rows of each set."""
    probes = [_probes(list(vectors)) for vectors in own]
    texts = [part[row].query for part, rows in zip(points, probes, strict=True) for row in rows]
    made = iter(encode(texts) if texts else ())
    return [
        vectors if _agree([vectors[row] for row in rows], [next(made) for _ in rows]) else {}
        for vectors, rows in zip(own, probes, strict=True)
    ]


def _probes(items: Sequence[_Item]) -> Sequence[_Item]:
    return items[:: max(1, len(items) // _PROBES)]


def _agree(some: Sequence[NDArray[np.float32]], others: Sequence[NDArray[np.float32]]) -> bool:
    """Tell whether vectors are the same but for rounding, pair by pair."""
    return all(
        one.shape == other.shape and float(one @ other) > _SAME_FROM for one, other in zip(some, others, strict=True)
    )


def compare(
    pool: NDArray[np.float32],
    pool_rows: int,
    result: NDArray[np.float32],
    covering: NDArray[np.float32],
    result_rows: int,
    names: tuple[str, str, str],
    seed: int = 42,
) -> Comparison:
    """Measure what came out beside what went in.

    :param pool: (n, d) a sample of what went in, n >= 1.
    :param pool_rows: rows that it was drawn from.
    :param result: (m, d) the rows of what came out that the same draw has hit, m >= 1.
    :param covering: (c, d) those, and the merges of which it has hit a parent: what stands for the rows of the pool.
    :param result_rows: all rows that came out.
    :param names: of what went in, of the draws, of what came out.
    :param seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    share = len(pool) / pool_rows
    size = max(1, min(round(share * result_rows), len(pool)))
    draws = [_measured("", pool, chosen) for chosen in (pool[rng.permutation(len(pool))[:size]] for _ in range(DRAWS))]
    drawn = Measured(
        names[1],
        size,
        float(np.mean([draw.coverage for draw in draws])),
        float(np.mean([draw.vendi for draw in draws])),
        float(np.mean([draw.redundancy for draw in draws])),
        float(np.mean([draw.distance for draw in draws])),
    )
    came_out = replace(_measured(names[2], pool, result), coverage=pool_coverage(pool, covering))
    return Comparison(_measured(names[0], pool, pool), drawn, came_out, share)


def topic_map(vectors: NDArray[np.float32], seed: int = 42) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return which rows the map shows, and where.

    :param vectors: (n, d) of unit norm.
    :param seed: of the choice and of the map.
    :return: (m,) positions, ascending, m at most 2,000; (m, 2) places.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:MAP_POINTS])
    return rows, project_2d(vectors[rows], seed)


def map_colours(places: NDArray[np.float32], topics: Sequence[int | None]) -> dict[int, int]:
    """Return a colour for each topic, from 0 on, so that topics near each other rarely share one.

    :param places: (n, 2) places of rows.
    :param topics: their topics.
    """
    of_row = np.array([-1 if topic is None else topic for topic in topics], dtype=np.int64)
    ids, sizes = np.unique(of_row[of_row >= 0], return_counts=True)
    centres = {int(topic): np.median(places[of_row == topic], axis=0) for topic in ids}
    colours: dict[int, int] = {}
    # Largest first: they are what the eye meets.
    for topic in ids[np.argsort(-sizes, kind="stable")].tolist():
        near = sorted(colours, key=lambda other: float(np.linalg.norm(centres[other] - centres[topic])))[:_NEIGHBOURS]
        taken = [colours[other] for other in near]
        used = list(colours.values())
        colours[topic] = min(range(COLOURS), key=lambda colour: (colour in taken, used.count(colour), colour))
    return colours


def _measured(name: str, pool: NDArray[np.float32], rows: NDArray[np.float32]) -> Measured:
    return Measured(
        name,
        len(rows),
        pool_coverage(pool, rows),
        vendi_score(rows),
        redundancy(rows),
        mean_pairwise_distance(rows),
    )
