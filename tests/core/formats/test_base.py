"""What every layout gives."""

import pytest

from mergeit_ops.core.formats.base import Reading, context_text, one_turn, parents_value
from mergeit_ops.core.sample import Sample


@pytest.mark.parametrize(
    ("instruction", "material", "readable"), [("a", "", True), ("", "b", True), (" ", "\n", False)]
)
def test_a_row_is_readable_if_it_has_a_text_to_embed(instruction, material, readable):
    assert Reading(Sample(instruction, material, "answer"), "bad_row").is_readable is readable


def test_instruction_and_input_are_one_question():
    assert one_turn(Sample("a", "b", "c")) == "a\n\nb"
    assert one_turn(Sample("a", " \n", "c")) == "a"


def test_the_value_of_a_parent_stays_as_it_stands_there():
    assert parents_value("S", [None, " S\n", "S"]) == " S\n"
    assert parents_value("S", ["other", 7]) == "S"
    assert parents_value("7", [7]) == 7
    assert parents_value("", ["S"]) is None
    assert parents_value("", []) is None


def test_equal_contexts_have_equal_texts_in_whatever_order():
    assert context_text({}) == ""
    assert context_text({"a": 1, "b": [None, "ü"]}) == context_text({"b": [None, "ü"], "a": 1})
    assert context_text({"a": 1}) != context_text({"a": "1"}) != context_text({"a": True})
    assert context_text({"a": b"bytes"}) != context_text({"a": b"other"})
