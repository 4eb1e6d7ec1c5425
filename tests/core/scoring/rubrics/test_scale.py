"""The scale of a rubric: which numbers are on it."""

from __future__ import annotations

import math

import pytest

from mergeit_ops.core.merging.replies import ReplyError
from mergeit_ops.core.scoring.rubrics import Scale


@pytest.mark.parametrize("ends", [(5, 1), (1, 1), (math.nan, 1), (1, math.nan), (-math.inf, 1)])
def test_a_scale_needs_two_ends(ends):
    with pytest.raises(ValueError, match="the lowest number must be below the highest"):
        Scale(*ends)


@pytest.mark.parametrize("number", [0, 5, 4.5, 1])
def test_numbers_from_the_lowest_to_the_highest_are_on_it(number):
    assert Scale(0, 5).checked(number) == number


@pytest.mark.parametrize("number", [-0.1, 5.1, math.nan, math.inf, True, "4", None, [4]])
def test_anything_else_is_no_score(number):
    with pytest.raises(ReplyError, match="unparsable"):
        Scale(0, 5).checked(number)


@pytest.mark.parametrize("number", [4.5, 0, math.inf])
def test_a_scale_of_whole_numbers_without_an_end_has_no_others(number):
    assert Scale(1, math.inf, whole=True).checked(10_000) == 10_000
    with pytest.raises(ReplyError, match="unparsable"):
        Scale(1, math.inf, whole=True).checked(number)


@pytest.mark.parametrize("scale", [Scale(0, 5), Scale(1, math.inf, whole=True)], ids=str)
def test_a_number_that_is_too_large_to_hold_is_no_score(scale):
    with pytest.raises(ReplyError, match="unparsable"):
        scale.checked(10**400)
