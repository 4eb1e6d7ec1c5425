"""What a selection method returns."""

import numpy as np

from mergeit_ops.core.selection.selection import Selection


def test_rows_that_nobody_had_to_choose_have_no_gain_and_leave_nothing_out():
    found = Selection.of_all(np.array([2, 0, 5]))
    assert found.indices.tolist() == [2, 0, 5]
    assert found.gains.tolist() == [0, 0, 0]
    assert found.left_out.shape == (2, 0)
    assert found.bound is None


def test_two_selections_share_nothing():
    one, other = (Selection(np.zeros(0, np.int64), np.zeros(0)) for _ in range(2))
    assert one.counts is not other.counts
    assert one.left_out is not other.left_out
