"""Coverage of parents by a merge."""

import numpy as np
import pytest

from mergeit_ops.core.coverage import parent_coverage, split_sentences


def test_sentences_end_at_marks_and_line_breaks():
    assert split_sentences("One. Two!\n\nThree? 3.5 is one number.\n") == [
        "One.",
        "Two!",
        "Three?",
        "3.5 is one number.",
    ]
    assert split_sentences("一。二") == ["一。", "二"]
    assert split_sentences(" \n") == []


def test_coverage_is_the_mean_of_the_best_cosines():
    parent = np.array([(1, 0), (0, 1)], np.float32)
    merged = np.array([(0.6, 0.8), (1, 0)], np.float32)
    assert parent_coverage(parent, merged) == pytest.approx((1 + 0.8) / 2)
    assert parent_coverage(parent, parent) == pytest.approx(1)


@pytest.mark.parametrize(("p", "m"), [(0, 1), (1, 0)])
def test_without_sentences_there_is_no_coverage(p, m):
    assert parent_coverage(np.zeros((p, 2), np.float32), np.zeros((m, 2), np.float32)) is None
