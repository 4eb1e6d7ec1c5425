"""Which texts are asked about: each bound, at its edge."""

import pytest

from mergeit_ops.core.backtranslation.bounds import TextBounds

HUMPBACK = TextBounds(min_chars=1_000, max_chars=2_200, min_line_chars=5)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x" * 1_000, None),
        ("x" * 999, "too_short"),
        (" " * 500 + "x" * 999 + "\n", "too_short"),
        ("x" * 2_200 + " \n", None),
        ("x" * 2_201, "too_long"),
        ("x" * 1_000 + "\n\nHome\n", "short_line"),
        ("x" * 1_000 + "\n \n\nHomes\n", None),
        ("", "bad_row"),
        (" \n\t", "bad_row"),
        (None, "bad_row"),
        (5, "bad_row"),
        (["x" * 1_000], "bad_row"),
    ],
)
def test_the_bounds_of_published_code(text, problem):
    assert HUMPBACK.problem(text) == problem


def test_without_bounds_every_text_is_asked_about():
    assert TextBounds().problem("x") is None
    assert TextBounds().problem("x" * 1_000_000) is None


def test_characters_are_counted_and_not_bytes():
    assert TextBounds(min_chars=3, max_chars=3).problem("日本語") is None
