"""Pairs of tags whose vectors are alike."""

import numpy as np
import pytest

from mergeit_ops.core.tags import similar_pairs as module
from mergeit_ops.core.tags.similar_pairs import similar_pairs
from tests.core.selection.toys import X6, directions


def pairs(vectors, similarity):
    first, second, cosines = similar_pairs(vectors, similarity)
    return list(zip(first.tolist(), second.tolist(), strict=True)), cosines


def test_golden_pairs_of_six_directions():
    found, cosines = pairs(X6, 0.8)
    assert found == [(0, 5), (1, 2), (1, 5)]
    assert cosines == pytest.approx([0.8, 0.8, 0.96], abs=1e-6)


@pytest.mark.parametrize("rows", [0, 1])
def test_without_two_tags_there_is_no_pair(rows):
    found, cosines = pairs(X6[:rows], -1.0)
    assert found == []
    assert cosines.dtype == np.float32


def test_copies_are_alike_and_no_cosine_is_above_1():
    found, cosines = pairs(np.repeat(directions(1, 7), 3, axis=0), 1.0)
    assert found == [(0, 1), (0, 2), (1, 2)]
    assert cosines.max() <= 1


def test_blocks_make_no_difference(monkeypatch):
    vectors = directions(50)
    whole, cosines = pairs(vectors, 0.5)
    monkeypatch.setattr(module, "_BLOCK_ROWS", 7)
    parts, others = pairs(vectors, 0.5)
    assert parts == whole == sorted(whole)
    np.testing.assert_allclose(cosines, others, rtol=1e-6)
    exact = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    assert whole == [(a, b) for a in range(50) for b in range(a + 1, 50) if exact[a, b] >= 0.5]
