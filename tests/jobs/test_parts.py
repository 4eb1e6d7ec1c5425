"""Parts of the rows of a flat dataset."""

import numpy as np

from mergeit_ops.core.selection.summaries import Summaries
from mergeit_ops.jobs.parts import Part
from tests.core.selection.toys import directions

VECTORS = directions(50)
HASHES = np.random.default_rng(0).integers(0, 2**63, 50, dtype=np.uint64)


def test_each_row_is_in_one_new_part_with_its_own_values():
    groups = Summaries(VECTORS * 2, np.arange(50))
    pieces = Part(np.arange(50), HASHES, VECTORS, groups).divided(4)
    whole = Part.joined(pieces)
    assert sorted(whole.rows.tolist()) == list(range(50))
    np.testing.assert_array_equal(whole.vectors, VECTORS[whole.rows])
    np.testing.assert_array_equal(whole.summaries.sums, 2 * VECTORS[whole.rows])
    np.testing.assert_array_equal(whole.summaries.rows, whole.rows)
    for number, piece in enumerate(pieces):
        assert (HASHES[piece.rows] % 4 == number).all()


def test_a_second_division_does_not_follow_the_first():
    first = Part(np.arange(50), HASHES, VECTORS).divided(2)[0]
    assert min(len(piece.rows) for piece in first.divided(2)) > 0


def test_rows_are_in_the_order_of_their_hashes_and_equal_ones_in_that_of_the_dataset():
    hashes = np.array([7, 3, 7, 3], dtype=np.uint64)
    found = Part(np.array([12, 11, 10, 13]), hashes, VECTORS[:4]).sorted()
    assert found.rows.tolist() == [11, 13, 10, 12]
    np.testing.assert_array_equal(found.vectors, VECTORS[[1, 3, 2, 0]])
