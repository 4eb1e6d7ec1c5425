"""In how many rows a tag must be."""

import pytest

from mergeit_ops.core.tags.least_count import least_count


@pytest.mark.parametrize(
    ("rows", "count"),
    [(0, 2), (1, 2), (29_999, 2), (44_999, 2), (45_000, 3), (306_044, 20)],
)
def test_instag_keeps_tags_of_twenty_among_its_rows(rows, count):
    assert least_count(rows, None) == count


@pytest.mark.parametrize("asked", [1, 2, 500])
def test_what_the_recipe_says_counts(asked):
    assert least_count(306_044, asked) == asked
