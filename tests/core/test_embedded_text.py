"""Which text of a sample its embedding is made of."""

import pytest

from mergeit_ops.core.embedded_text import EMBEDDED_TEXTS, embedded_text
from mergeit_ops.core.sample import Round, Sample

CHAT = Sample("one\nthree", "", "two\nfour", rounds=(Round("one", "two"), Round(" three ", "four")))


@pytest.mark.parametrize(
    ("choice", "text"), [("user", "one\nthree"), ("all", "one\ntwo\nthree\nfour"), ("last", "three")]
)
def test_the_turns_of_a_conversation(choice, text):
    assert embedded_text(CHAT, choice) == text


@pytest.mark.parametrize(("choice", "text"), [("user", "ask this"), ("all", "ask this\ntold"), ("last", "ask this")])
def test_a_row_of_one_question(choice, text):
    assert embedded_text(Sample("ask", "this", "told"), choice) == text


@pytest.mark.parametrize("choice", EMBEDDED_TEXTS)
def test_a_row_without_a_question_has_no_text(choice):
    assert not embedded_text(Sample(" ", "", "told"), choice).strip()


def test_a_last_answer_that_nobody_asked_for_has_the_other_questions():
    assert (
        embedded_text(Sample("one", "", "two\nfour", rounds=(Round("one", "two"), Round("", "four"))), "last") == "one"
    )
