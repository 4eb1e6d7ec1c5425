"""Rows that say nothing, whatever the model."""

import pytest

from mergeit_ops.scorers.text import blank_reason, encodable


@pytest.mark.parametrize(
    ("question", "response", "reason"),
    [
        ("Why?", "So.", None),
        ("Why?", None, None),
        ("?", "7", None),
        ("为什么？", "因为", None),
        ("Why?", "", "empty_response"),
        ("Why?", " ... —!", "empty_response"),
        ("Why?", "🙂", "empty_response"),
        (" \n", "So.", "empty_instruction"),
        ("", None, "empty_instruction"),
        ("", "", "empty_response"),
    ],
)
def test_a_blank_side_is_named(question, response, reason):
    assert blank_reason(question, response) == reason


def test_half_a_surrogate_pair_can_be_read_by_a_tokenizer():
    assert encodable("a\ud800") == "a?"
