"""What is told about a choice, worked by hand on six vectors in the plane."""

import numpy as np
import pytest

from mergeit_ops.core.selection.selection import Selection
from mergeit_ops.jobs.choice import Choice
from tests.core.selection.test_facility_location import X6

SCORES = np.array([6.0, 8.0, np.nan, 4.0, 4.0, 5.0])
TARGET = np.array([(0, 1), (0, -1)], dtype=np.float32)


def test_mean_scores_leave_out_rows_without_one():
    told = Choice.of(2, 6, np.array([1, 2]), SCORES)
    assert told.figures() == {"mean_score": {"chosen": 8.0, "all": 5.4}}


def test_similarity_is_the_mean_of_the_best_cosine_to_each_row_of_the_target():
    # Row 1 is (0.6, 0.8): 0.8 to the first, and no less than 0 to the second. All rows hold both.
    told = Choice.of(1, 6, np.array([1]), None, X6, TARGET)
    assert told.figures() == {"target_similarity": {"chosen": pytest.approx(0.4), "all": pytest.approx(1.0)}}


def test_parts_add_up_to_the_whole():
    whole = Choice.of(2, 6, np.array([1, 4]), SCORES, X6, TARGET)
    first = Choice.of(1, 3, np.array([1]), SCORES[:3], X6[:3], TARGET)
    second = Choice.of(1, 3, np.array([1]), SCORES[3:], X6[3:], TARGET)
    added = sum((first, second), Choice())
    assert (added.rows, added.kept) == (6, 2)
    assert added.figures() == whole.figures()


def test_a_choice_without_scores_and_target_tells_nothing():
    assert Choice.of(2, 6, np.array([1, 2])).figures() == {}


def test_no_chosen_row_has_no_mean():
    assert Choice.of(0, 6, np.zeros(0, np.int64), SCORES).figures() == {"mean_score": {"chosen": None, "all": 5.4}}


def test_what_a_method_says_is_told_and_added_up_over_topics():
    left_out = np.array([[0], [2]])
    said = Selection(np.array([2, 1]), np.zeros(2), left_out, 0.8, {"cells": 2}, {"part": ["a", "b"]})
    told = Choice(4, 3).with_words_of(said, np.array([1, 2, 3])).with_twins(["r0", "r1", "r2", "r3"])
    assert told.figures() == {"too_alike": 1, "max_similarity": 0.8, "cells": 2}
    assert told.stats == {"part": ["b", "a", None]}
    assert told.twins == [("r0", "r2")]
    other = Choice().with_words_of(
        Selection(np.zeros(0, np.int64), np.zeros(0), bound=0.7, counts={"cells": 1}), told.left_out[0]
    )
    both = told + other
    assert both.figures() == {"too_alike": 1, "max_similarity": {"lowest": 0.7, "highest": 0.8}, "cells": 3}
    assert both.twins == told.twins
