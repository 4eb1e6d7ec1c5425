"""DEITA's filter: golden values of the paper's rule, and what other readings of it would give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mergeit_ops.core.selection import apart
from mergeit_ops.core.selection.method import Pool
from mergeit_ops.core.selection.similarity_filter import SimilarityFilter, filter_similar, lowest_bound
from tests.core.selection.toys import Q6, X6, Y3, directions

WRONG_READINGS = ([1, 3, 4], [1, 0, 5, 2])  # "distance above 0.9" and "distance below 0.9"


@pytest.mark.parametrize(
    ("bound", "budget", "expected"),
    [
        (0.9, 6, [1, 0, 2, 3, 4]),
        (0.75, 6, [1, 0, 3, 4]),
        (0.5, 6, [1, 3, 4]),
        (0.9, 3, [1, 0, 2]),
    ],
)
def test_golden_by_the_sheet(bound, budget, expected):
    found = SimilarityFilter(bound).select(Pool(X6, scores=Q6), budget)
    assert found.indices.tolist() == expected
    assert found.gains.tolist() == Q6[expected].tolist()
    assert bound != 0.9 or found.indices.tolist() not in WRONG_READINGS


@pytest.mark.parametrize("block", [1, 2, 3])
def test_a_row_is_not_compared_with_rows_that_were_dropped_whatever_the_block(block, monkeypatch):
    monkeypatch.setattr(apart, "_BLOCK_ROWS", block)
    found = filter_similar(Y3, np.array([3.0, 2, 1]), 3, 0.9)
    assert found.kept.tolist() == [0, 2]
    assert (found.dropped.tolist(), found.dropped_for.tolist()) == ([1], [0])


def plain(vectors, scores, budget, bound) -> list[int]:
    kept: list[int] = []
    for row in np.argsort(-scores, kind="stable").tolist():
        if len(kept) < budget and all(vectors[row] @ vectors[other] <= bound for other in kept):
            kept.append(row)
    return kept


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.floats(0.05, 0.95), st.integers(1, 9), st.integers(0, 99))
def test_blocks_give_what_the_plain_loop_gives_and_no_pair_is_above_the_bound(rows, bound, block, seed):
    vectors, scores = directions(rows, seed=seed), np.random.default_rng(seed).integers(0, 9, rows).astype(float)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apart, "_BLOCK_ROWS", block)
        patch.setattr(apart, "_COMPARED_ROWS", 3)
        found = filter_similar(vectors, scores, rows, bound).kept
    assert found.tolist() == plain(vectors, scores, rows, bound)
    between = vectors[found] @ vectors[found].T - np.eye(len(found))
    assert between.max() <= bound + 1e-6


def test_copies_are_never_both_chosen_and_rows_without_a_text_never():
    vectors = np.concatenate([X6, X6[:2], np.zeros((1, 2), np.float32)])
    for method in (SimilarityFilter(0.9), SimilarityFilter("auto")):
        found = method.select(Pool(vectors, scores=np.arange(9.0)), 9).indices
        assert not {8} & set(found.tolist())
        assert len(np.unique(vectors[found], axis=0)) == len(found)


@settings(deadline=None, max_examples=40)
@given(st.permutations(range(30)))
def test_the_order_of_the_rows_does_not_matter(order):
    vectors, scores = directions(30), np.random.default_rng(1).permutation(30).astype(float)
    for method in (SimilarityFilter(0.7), SimilarityFilter("auto")):
        found = method.select(Pool(vectors[order], scores=scores[order]), 12).indices
        assert np.array(order)[found].tolist() == method.select(Pool(vectors, scores=scores), 12).indices.tolist()


def test_auto_takes_the_lowest_bound_that_leaves_enough_rows():
    # Row 5 comes third and is kept only from 0.96 on, row 0 needs 0.6, row 2 needs 0.8.
    for budget, bound, rows in [
        (3, 0.0, [1, 3, 4]),
        (4, 0.6, [1, 0, 3, 4]),
        (5, 0.8, [1, 0, 2, 3, 4]),
        (6, 0.96, None),
    ]:
        found, used = lowest_bound(X6, Q6, budget)
        assert used == pytest.approx(bound, abs=2e-4)
        assert sorted(found.kept.tolist()) == sorted(rows or range(6))
    found, used = lowest_bound(np.concatenate([X6, X6]), np.tile(Q6, 2), 8)
    assert (len(found.kept), used) == (6, pytest.approx(0.9999))


def test_auto_says_for_how_many_rows_it_is_meant():
    assert "Set max_similarity to a number" in SimilarityFilter("auto").refusal(1_000_000, 100_000)
    assert not SimilarityFilter().refusal(1_000_000, 100_000)
