"""Cells of like rows."""

import numpy as np

from mergeit_ops.core.topics.cells import find_cells, sample_by_content


def planted(groups: int, rows: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(groups, 16))
    found = np.repeat(centres, rows, axis=0) + 0.1 * rng.normal(size=(groups * rows, 16))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def partition(labels, names) -> set[frozenset[int]]:
    return {frozenset(names[labels == label].tolist()) for label in np.unique(labels)}


def test_the_order_of_the_rows_does_not_matter():
    vectors = planted(6, 20)
    order = np.random.default_rng(1).permutation(len(vectors))
    found, again = find_cells(vectors, 6), find_cells(vectors[order], 6)
    assert partition(found.labels, np.arange(120)) == partition(again.labels, order)
    assert sorted(np.concatenate(found.rows()).tolist()) == list(range(120))


def test_the_sample_is_drawn_by_content_and_uniformly():
    vectors = planted(4, 500)
    order = np.random.default_rng(1).permutation(len(vectors))
    chosen = sample_by_content(vectors, 400)
    assert set(chosen.tolist()) == set(order[sample_by_content(vectors[order], 400)].tolist())
    assert np.bincount(chosen // 500, minlength=4).min() > 60


def test_a_large_cell_is_divided_unless_its_rows_are_all_the_same():
    vectors = np.concatenate([planted(1, 300), np.tile(planted(2, 1)[1:], (200, 1))])
    found = find_cells(vectors, 2, most_rows=100)
    sizes = sorted(map(len, found.rows()))
    assert (sizes[-1], sum(sizes)) == (200, 500)
    assert sizes[-2] <= 100


def test_no_rows():
    assert find_cells(np.zeros((0, 4), np.float32), 3).rows() == []
