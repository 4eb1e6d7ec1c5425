"""The rows with the highest values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.selection.highest import highest


@pytest.mark.parametrize(
    ("values", "count", "positions"),
    [
        ([], 3, []),
        ([5.0], 1, [0]),
        ([1.0, 3.0, 2.0], 2, [1, 2]),
        ([1.0, 3.0, 2.0], 9, [0, 1, 2]),
        ([1.0, 2.0], 0, [1]),
    ],
)
def test_positions_are_ascending(values, count, positions):
    assert highest(np.array(values), count).tolist() == positions


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30), st.integers(1, 30))
def test_none_that_is_left_out_is_higher_and_the_first_of_the_highest_is_among_them(values, count):
    array = np.array(values, dtype=np.float32)
    found = highest(array, count)
    assert int(array.argmax()) in found
    assert min(count, len(values)) <= len(found) <= count + 1
    left_out = np.delete(array, found)
    assert not len(left_out) or left_out.max() <= np.sort(array)[::-1][count - 1]
