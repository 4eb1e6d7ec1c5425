"""Coverage, Vendi score, distance and redundancy: values worked out by hand, and the same in blocks as at once."""

import math

import numpy as np
import pytest

from mergeit_ops.core.measures import diversity
from mergeit_ops.core.measures.diversity import (
    best_cosines,
    mean_pairwise_distance,
    near_duplicates,
    nearest_cosines,
    nearest_two,
    pool_coverage,
    redundancy,
    vendi_score,
)

X6 = np.array([(1, 0), (0.6, 0.8), (0, 1), (-1, 0), (0, -1), (0.8, 0.6)], np.float32)
DUPLICATES = np.array([(1, 0)] * 3 + [(0, 1)] * 2, np.float32)


def unit(n: int, d: int, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(n, d))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def test_coverage_is_the_mean_best_cosine():
    assert pool_coverage(X6, X6[[1, 3]]) == pytest.approx(0.726667, abs=1e-6)
    assert pool_coverage(X6, X6) == 1
    assert pool_coverage(X6[:1], X6[3:4]) == -1


@pytest.mark.parametrize(
    ("vectors", "order", "score"),
    [
        (X6, 1, 1.898446),
        (X6, 2, 1.814224),
        (X6, math.inf, 1.515152),
        (X6, 0.1, 1.989247),
        (DUPLICATES, 1, 1.960132),
        (DUPLICATES, 2, 1.923077),
        (DUPLICATES, math.inf, 1.666667),
        (np.eye(5, dtype=np.float32), 1, 5),
        (np.eye(5, dtype=np.float32)[[2] * 7], 1, 1),
        (np.eye(5, dtype=np.float32)[[2] * 7], 0, 1),
    ],
)
def test_vendi_score(vectors, order, score):
    assert vendi_score(vectors, order) == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize(("n", "d"), [(40, 8), (8, 40)])
def test_vendi_score_is_that_of_the_cosine_matrix(n, d):
    vectors = unit(n, d)
    shares = np.linalg.eigvalsh((vectors @ vectors.T).astype(np.float64) / n)
    shares = shares[shares > 1e-9]
    assert vendi_score(vectors) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-5)


def test_mean_pairwise_distance():
    assert mean_pairwise_distance(X6) == pytest.approx(1.069333, abs=1e-6)
    assert mean_pairwise_distance(X6[:1]) == 0


def test_redundancy_counts_rows_with_a_near_twin():
    assert redundancy(X6) == pytest.approx(2 / 6)
    assert redundancy(X6, 0.75) == pytest.approx(4 / 6)
    assert redundancy(X6[:1]) == 0


def test_redundancy_is_strict():
    # 1, 0 and 1 are exact in single precision.
    assert redundancy(DUPLICATES[:3], 1.0) == 0


def test_blocks_change_nothing(monkeypatch):
    pool, chosen = unit(53, 6), unit(29, 6, seed=1)
    whole = (pool_coverage(pool, chosen), vendi_score(pool), mean_pairwise_distance(pool), nearest_cosines(pool))
    monkeypatch.setattr(diversity, "_BLOCK_ROWS", 7)
    parts = (pool_coverage(pool, chosen), vendi_score(pool), mean_pairwise_distance(pool), nearest_cosines(pool))
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    plain = pool @ pool.T
    np.fill_diagonal(plain, -2)
    np.testing.assert_allclose(parts[3], plain.max(axis=1), rtol=1e-6)


@pytest.mark.parametrize("measure", [vendi_score, mean_pairwise_distance, redundancy, lambda x: pool_coverage(x, x)])
def test_no_rows_are_an_error(measure):
    with pytest.raises(ValueError, match="row"):
        measure(X6[:0])


def test_the_nearest_two_of_subsets_are_those_of_the_rows_alone(monkeypatch):
    monkeypatch.setattr(diversity, "_BLOCK_ROWS", 7)
    pool, chosen = unit(53, 6), unit(29, 6, seed=1)
    # The second has no row in most blocks.
    masks = [np.arange(29) % 3 > 0, np.arange(29) == 11]
    np.testing.assert_allclose(best_cosines(pool, chosen), (pool @ chosen.T).max(axis=1), rtol=1e-6)
    for nearest, mask in zip(nearest_two(pool, chosen, masks), (np.full(29, True), *masks), strict=True):
        cosines = np.where(mask, pool @ chosen.T, -np.inf)
        np.testing.assert_array_equal(nearest.row, cosines.argmax(axis=1))
        cosines.sort(axis=1)
        np.testing.assert_allclose(nearest.best, cosines[:, -1], rtol=1e-6)
        np.testing.assert_allclose(nearest.second, cosines[:, -2], rtol=1e-6)


def test_twins_in_blocks_are_those_of_all_at_once(monkeypatch):
    vectors = unit(53, 3)
    monkeypatch.setattr(diversity, "_BLOCK_ROWS", 7)
    near = vectors @ vectors.T > 0.9
    np.fill_diagonal(near, False)
    found = near_duplicates(vectors)
    np.testing.assert_array_equal(found.counts, near.sum(axis=1))
    np.testing.assert_array_equal(found.sole, np.where(near.sum(axis=1) == 1, near.argmax(axis=1), -1))
    assert {0, 1, 2} <= set(found.counts.tolist())
