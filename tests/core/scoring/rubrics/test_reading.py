"""Reading replies: a number only where it is the score, answers of yes and no, and never a guess."""

from __future__ import annotations

import math

import pytest

from mergeit_ops.core.merging.replies import ReplyError
from mergeit_ops.core.scoring.rubrics import Scale
from mergeit_ops.core.scoring.rubrics.reading import (
    first_line_number,
    last_line_number,
    opening_number,
    yes_or_no,
)

SCALE = Scale(0, 5)


@pytest.mark.parametrize(
    ("text", "released"),
    [("4.5\nGood", 4.5), ("4.5 ", 4.5), ("Score: 4.5", -1), ("4/5", -1), ("\n4.5", -1), ("nan", math.nan), ("45", 45)],
)
def test_a_strict_reading_is_that_of_the_released_code_before_the_scale_is_asked(text, released):
    """The released code gives -1 where there is no number."""
    if released == -1:
        with pytest.raises(ReplyError):
            first_line_number(text)
    else:
        assert first_line_number(text) == pytest.approx(released, nan_ok=True)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("4.", 4.0),
        ("(4)", 4.0),
        ("- 4", 4.0),
        (".5", 0.5),
        ("**4.5**", 4.5),
        ("I rate it 4 for its accuracy.", 4.0),
        ("Accuracy: 4 - it gets 2 of 3 facts right", 4.0),
        ("4 because 2 of 3 facts are right", 4.0),
        ("Score (0-5): 4", 4.0),
        ("4 out of 5", 4.0),
        ("4. Good throughout", 4.0),
        ("1. The score is 4", None),
        ("1: 4", None),
        ("4.5/5.0", 4.5),
        ("<think>first 2, then 3</think>\n4\nGood", 4.0),
        ("\ufeff4\r\nGood", 4.0),
        ("8/10", None),
        ("4-5", None),
        ("4 to 5", None),
        ("4 or 5", None),
        ("4,5", None),
        ("-1", None),
        ("5.01", None),
        ("80%", None),
        ("4th", None),
        ("1e0", None),
        ("On a scale of 0 to 5 it is 4", None),
        ("four", None),
        ("Good\n4", None),
        ('{"score": 4}', None),
        ("inf", None),
        ("<think>4", None),
    ],
)
def test_a_number_on_the_first_line_is_read_only_where_it_is_the_score(text, number):
    if number is None:
        with pytest.raises(ReplyError):
            SCALE.checked(opening_number(text, SCALE.high))
    else:
        assert SCALE.checked(opening_number(text, SCALE.high)) == number


def test_a_number_beside_the_name_of_a_part_is_not_the_sum():
    assert opening_number("Total: 80", 100, ("clarity",)) == 80
    with pytest.raises(ReplyError, match="unparsable"):
        opening_number("Clarity: 15", 100, ("clarity",))


@pytest.mark.parametrize(
    "text", ["Score: 5", "**Score: 5**", "fine.\nFinal score: 5\n\n", "<think>Score: 1</think>\nScore: 5"]
)
def test_a_number_on_the_last_line_is_read_behind_its_label(text):
    assert last_line_number(text) == 5


@pytest.mark.parametrize(
    "text", ["5", "Score: 5\nThat is all.", "Score: 4.5", "Score: -5", "Score: 4 or 5", "<think>Score: 5"]
)
def test_a_last_line_of_another_form_is_no_score(text):
    with pytest.raises(ReplyError):
        last_line_number(text)


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("1: yes\n2: no", [True, False]),
        ("2) No.\n1) Yes.", [True, False]),
        ("- **1.** yes, because 2: no is about another", [True, False]),
        ("1: yes\n3: yes", [True, False]),
        ("1: yes\n1: no\n2: yes", [False, True]),
        ("1: yes and no\n2: yesterday", [True, False]),
        ("<think>1: no\n2: no</think>\n1: yes\n2: yes", [True, True]),
    ],
)
def test_what_is_not_answered_with_yes_is_no(text, answers):
    assert yes_or_no(text, 2) == answers


@pytest.mark.parametrize("text", ["", "yes", "All are met: yes", "3: yes", "1: maybe"])
def test_a_reply_that_answers_no_question_is_no_answer(text):
    with pytest.raises(ReplyError):
        yes_or_no(text, 2)
