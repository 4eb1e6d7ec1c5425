"""Vectors that rows bring, and colours of neighbouring topics."""

import numpy as np
import pytest

from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.report.space import COLOURS, compare, embed, map_colours
from mergeit_ops.report.survey import Point

X = np.eye(4, dtype=np.float32)


def encode(texts):
    return np.array([X[int(text)] for text in texts])


def brought(rows):
    return [Point(str(row), text) for row, text in zip(rows, encode_vectors(X[rows]), strict=True)]


def test_vectors_that_all_rows_bring_are_used():
    (first, second), embedded = embed([brought([0, 2]), brought([1])], lambda texts: pytest.fail("embedded again"))
    np.testing.assert_array_equal(first, X[[0, 2]])
    np.testing.assert_array_equal(second, X[[1]])
    assert embedded == 0


@pytest.mark.parametrize(
    "other", [Point("3"), Point("3", encode_vectors(np.eye(2, dtype=np.float32))[0]), Point("3", "?")]
)
def test_vectors_of_another_space_are_not_mixed_in(other):
    (first, second), embedded = embed([brought([0, 2]), [other]], encode)
    np.testing.assert_array_equal(first, X[[0, 2]])
    np.testing.assert_array_equal(second, X[[3]])
    assert embedded == 3


def test_more_rows_out_than_in_can_be_compared():
    comparison = compare(X[:2], 2, X, 4, ("in", "drawn", "out"))
    assert (comparison.pool.rows, comparison.drawn.rows, comparison.result.rows) == (2, 2, 4)
    assert comparison.result.coverage == 1


def test_topics_near_each_other_differ_in_colour():
    rng = np.random.default_rng(0)
    centres = rng.uniform(-1, 1, (40, 2))
    topics = np.repeat(np.arange(40), 20).tolist()
    places = (centres[topics] + rng.normal(scale=0.01, size=(800, 2))).astype(np.float32)
    colours = map_colours(places, topics)
    assert set(colours) == set(range(40))
    assert set(colours.values()) == set(range(COLOURS))
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=2) + 9 * np.eye(40)
    alike = sum(colours[i] == colours[int(distances[i].argmin())] for i in range(40))
    assert alike == 0
