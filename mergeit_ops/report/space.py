"""Rows of the export and of the input as vectors of one model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.text.counts import many
from mergeit_ops.core.vectors import decode_vectors
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_WINDOW
from mergeit_ops.report.sampling import Sketch
from mergeit_ops.report.survey import Point, Survey

__all__ = ["Space", "embed", "encoder", "space_of"]

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
Vectors = dict[int, NDArray[np.float32]]
"""Stored vector of each row that has one, by the position of the row."""
_Item = TypeVar("_Item")

_PROBES = 8
_SAME_FROM = 0.98  # half precision or another batch size changes a vector slightly


@dataclass(frozen=True)
class Space:
    """Sampled rows as vectors of one model, all with unit norm.

    One random draw selects rows of the input and of the export: a row that is in both is drawn in both or in neither.

    :param points: n sampled rows of the export.
    :param vectors: (n, d) vectors of `points`.
    :param pool: (p, d) drawn rows of the input; empty if the input is not known, or if too few rows are sampled.
    :param pool_rows: number of rows that the pool was drawn from.
    :param result: (r, d) drawn rows of the export; empty without a pool.
    :param covering: (c, d) `result`, and the merges with a drawn parent; empty without a pool.
    :param embedded: number of texts that the model embedded, because they had no usable vector.
    """

    points: Sequence[Point]
    vectors: NDArray[np.float32]
    pool: NDArray[np.float32]
    pool_rows: int
    result: NDArray[np.float32]
    covering: NDArray[np.float32]
    embedded: int


def space_of(found: Survey, went_in: Sketch[Point] | None, encode: Encode) -> Space | None:
    """Return the samples of the survey as vectors.

    :param found: the survey.
    :param went_in: a sample of the input with the keys of the survey; None: the rows that entered the merger take its
        place, if the export has merges.
    :param encode: function from texts to vectors with unit norm.
    :return: the vectors, or None if no row of the export is sampled.
    """
    points = found.points.below()
    if not points:
        return None
    sketch = found.entered if went_in is None else went_in
    # With a common bound, the samples come from the same draw.
    bound = min(sketch.bound, found.points.bound, found.covering.bound)
    sets = [part.below(bound) for part in (sketch, found.points, found.covering)]
    unknown = went_in is None and found.rows_entered == found.rows
    if unknown or not (sets[0] and sets[1]):
        sets = [[], [], []]
    (vectors, pool, result, covering), embedded = embed([points, *sets], encode)
    return Space(points, vectors, pool, sketch.seen, result, covering, embedded)


def encoder(model: str, say: Callable[[str], None]) -> Encode:
    """Return a function that embeds texts. It loads the model on the first call.

    :param model: name or folder of the model.
    :param say: called with each line of progress.
    """

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        from mergeit_ops.embedding import load_encoder
        from mergeit_ops.embedding.windows import embed_texts

        say(f"Embedding {many(len(set(texts)), 'text')} with {model} ...")
        return embed_texts(load_encoder(model), texts, None, DEFAULT_EMBEDDING_WINDOW).vectors

    return encode


def embed(points: Sequence[Sequence[Point]], encode: Encode) -> tuple[list[NDArray[np.float32]], int]:
    """Return the vectors of several sets of rows, and the number of texts that the model embedded.

    The stored vectors of a set are used if the model gives the same vectors for a few of its rows. If all rows of all
    sets have stored vectors, the model is not needed: the vectors of common texts show whether one model made them all.
    The stored vectors of a single complete set are used without a check.

    :param points: the sets of rows.
    :param encode: function from texts to vectors with unit norm.
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
    """Return the stored vectors by row position; nothing if one of them cannot be read."""
    rows = [number for number, point in enumerate(points) if point.vector is not None]
    try:
        vectors = decode_vectors([points[row].vector for row in rows])
    except ValueError:
        # The texts can be embedded again, so a broken vector is no reason to stop.
        return {}
    return dict(zip(rows, vectors, strict=True))


def _are_of_one_model(own: Sequence[Vectors], points: Sequence[Sequence[Point]]) -> bool:
    """Return whether the vectors of common texts show that one model made the vectors of all sets."""
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
    """Return the stored vectors of each set, or nothing for a set whose sampled vectors differ from the model's."""
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
    """Return whether each pair of vectors is the same except for rounding."""
    return all(
        one.shape == other.shape and float(one @ other) > _SAME_FROM for one, other in zip(some, others, strict=True)
    )
