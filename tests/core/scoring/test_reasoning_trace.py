"""What is measured of a row's reasoning trace."""

import pytest

from mergeit_ops.core.sample import Exchange
from mergeit_ops.core.scoring.reasoning_trace import MEASURES, is_truncated, trace_figures

LOOP = "wait, no, " * 40


def exchange(trace, answer="So.", complete=True):
    return Exchange("Why?", trace, answer, "", complete)


def figures(*exchanges):
    return dict(zip(MEASURES, trace_figures(exchanges), strict=True))


def test_length_and_share_are_of_words():
    assert figures(exchange("It is six words, no more.", "Two words.")) == {
        "loop": 0.0,
        "length": 6,
        "share": 0.75,
        "truncated": 0,
    }


def test_a_character_of_a_script_without_spaces_is_a_word():
    assert figures(exchange("再检查一遍。", "好。")) == {"loop": 0.0, "length": 5, "share": 5 / 6, "truncated": 0}


def test_several_traces_count_together():
    found = figures(exchange("One two."), exchange(None, "Three four."), exchange(LOOP), exchange("Cut off, because"))
    assert found == {"loop": pytest.approx(78 / 80), "length": 85, "share": 85 / 90, "truncated": 1}


def test_an_empty_trace_has_no_length():
    assert figures(exchange("")) == {"loop": 0.0, "length": 0, "share": 0, "truncated": 0}
    assert figures(exchange("", "", complete=False))["share"] == 0


def test_a_row_without_a_trace_has_no_figures():
    assert trace_figures(()) is None
    assert trace_figures((exchange(None),)) is None


@pytest.mark.parametrize(
    "trace",
    [
        "So it is 4.",
        "So it is 4",
        "So the answer is:",
        "It is **four**",
        r"\[ x = 4 \]",
        "Fine!",
        "就是四。",
        "",
        "```\nx = 1\n```",
        "That is what it refers to",
    ],
)
def test_a_trace_that_has_said_all_is_not_truncated(trace):
    assert not is_truncated(exchange(trace))


@pytest.mark.parametrize(
    "trace",
    [
        "So it is 4,",
        "So it is the",
        "It is 3 +",
        "f(",
        "这是因为，",
        "Now:\n```python\nx = 1",
        "It fails because",
        "a;\n",
    ],
)
def test_a_trace_that_stops_in_a_sentence_or_in_code_is_truncated(trace):
    assert is_truncated(exchange(trace))


def test_a_trace_without_an_end_is_truncated():
    assert is_truncated(exchange("So it is 4.", complete=False))
