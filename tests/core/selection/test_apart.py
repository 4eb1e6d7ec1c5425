"""Rows that are not too much alike, whatever the block."""

import numpy as np
import pytest

from mergeit_ops.core.selection import apart
from mergeit_ops.core.selection.apart import CHAINS, exceeds, keep_apart
from tests.core.selection.toys import Y3, directions


def plain(vectors, order, bound, chain="greedy", most=None):
    exact = vectors.astype(np.float64)
    kept, compared, dropped = [], [], []
    for row in order:
        if most is not None and len(kept) == most:
            break
        twin = next((other for other in compared if exact[row] @ exact[other] > bound + 1e-6), None)
        if twin is None:
            kept.append(row)
        else:
            dropped.append((row, twin))
        if twin is None or chain == "released":
            compared.append(row)
    return kept, dropped


def walk(vectors, order, bound, **more):
    found = keep_apart(vectors, np.asarray(order, dtype=np.int64), bound, **more)
    return found.kept.tolist(), list(zip(found.dropped.tolist(), found.dropped_for.tolist(), strict=True))


def test_golden_chain():
    """Rows 0 and 1, and 1 and 2, are alike: the released code loses row 2 to a row that is not kept."""
    assert walk(Y3, [0, 1, 2], 0.9) == ([0, 2], [(1, 0)])
    assert walk(Y3, [0, 1, 2], 0.9, chain="released") == ([0], [(1, 0), (2, 1)])
    assert walk(Y3, [1, 0, 2], 0.9) == ([1], [(0, 1), (2, 1)])


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("block", [1, 7, 1_000])
@pytest.mark.parametrize("bound", [0.3, 0.8])
def test_blocks_make_no_difference(chain, block, bound, monkeypatch):
    vectors = directions(80)
    order = np.random.default_rng(1).permutation(80).tolist()
    monkeypatch.setattr(apart, "_BLOCK_ROWS", block)
    monkeypatch.setattr(apart, "_COMPARED_ROWS", 5)
    assert walk(vectors, order, bound, chain=chain) == plain(vectors, order, bound, chain)
    assert walk(vectors, order, bound, chain=chain, most=6) == plain(vectors, order, bound, chain, 6)


def test_no_rows_and_one_row():
    assert walk(Y3, [], 0.9) == ([], [])
    assert walk(Y3, [2], 0.9) == ([2], [])
    assert walk(Y3, [0, 2], 0.9, most=0) == ([], [])


def test_the_walk_ends_when_it_can_no_longer_keep_enough(monkeypatch):
    monkeypatch.setattr(apart, "_BLOCK_ROWS", 2)
    copies = np.repeat(directions(1), 10, axis=0)
    kept, dropped = walk(copies, range(10), 0.9, least=10)
    assert kept == [0]
    assert len(dropped) == 1


def test_a_bound_of_1_keeps_copies_and_one_below_drops_them():
    copies = np.repeat(directions(5, 384), 2, axis=0)
    assert not exceeds(copies, copies, 1.0).any()
    alike = exceeds(copies, copies, 0.99)
    np.testing.assert_array_equal(alike, np.kron(np.eye(5), np.ones((2, 2))).astype(bool))
