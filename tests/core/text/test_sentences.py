"""Sentences, list items, table rows, code: the pieces that answers are compared by."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.surface_features import surface_features
from mergeit_ops.core.text.sentences import split_sentences

LONG = 200_000
UNITS = [".", "。", " ", "\n", "w", "字", "1", "`", "```\n", "|", "-", ";", "，", "a.", "e.g. ", "No way. ", "a, ", "("]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One. Two!\n\nThree? 3.5 is one number.\n", ["One.", "Two!", "Three?", "3.5 is one number."]),
        ('He said "go." Then he left.', ['He said "go."', "Then he left."]),
        ("Wait ... what? Yes.", ["Wait ...", "what?", "Yes."]),
        ("Dr. Smith met J. Doe, e.g. for tea. Good.", ["Dr. Smith met J. Doe, e.g. for tea.", "Good."]),
        ("Tea, milk, etc. are here. Inc. Ltd.", ["Tea, milk, etc. are here.", "Inc.", "Ltd."]),
        ("At 3 p.m. we rest. At 4 p.m. We run.", ["At 3 p.m. we rest.", "At 4 p.m.", "We run."]),
        ("Paris", ["Paris"]),
        ("no mark at all, one line", ["no mark at all, one line"]),
        (" \n", []),
        ("...", ["..."]),
    ],
)
def test_sentences_end_at_marks_and_line_breaks_but_not_at_abbreviations(text, pieces):
    assert split_sentences(text) == pieces


@pytest.mark.parametrize("marks", [("1.", "2."), ("-", "-"), ("a)", "b)"), ("(1)", "(2)"), ("•", "•"), ("#", "##")])
def test_a_list_item_is_one_piece_without_its_mark(marks):
    first, second = marks
    assert split_sentences(f"Steps:\n{first} Boil water\n  {second} Add salt") == ["Steps:", "Boil water", "Add salt"]


def test_numbers_of_a_list_in_one_line_are_no_sentences():
    assert split_sentences("1. Boil water. 2. Add salt.") == ["Boil water.", "2. Add salt."]


def test_code_is_cut_at_blank_lines_only_and_its_fences_are_no_pieces():
    text = "Like so:\n```python\ndef f(x):\n    return x. y\n\nprint(f(1))\n```\nIt prints 1."
    assert split_sentences(text) == ["Like so:", "def f(x):\n    return x. y", "print(f(1))", "It prints 1."]
    assert split_sentences("```\nx = 1\ny = 2") == ["x = 1\ny = 2"]


def test_rows_of_a_table_are_pieces_and_its_rule_is_none():
    assert split_sentences("| a | b |\n|---|:-:|\n| 1 | 2 |") == ["| a | b |", "| 1 | 2 |"]


def test_chinese_and_japanese_sentences_need_no_space_and_keep_their_quotes():
    assert split_sentences("一。二！“三。”四") == ["一。", "二！", "“三。”", "四"]
    assert split_sentences("猫は寝る。犬は走る。") == ["猫は寝る。", "犬は走る。"]


@pytest.mark.parametrize(("text", "pieces"), [("word " * 300, 3), ("字" * 300, 3), ("word " * 120, 1)])
def test_what_is_longer_than_the_models_window_is_cut_evenly(text, pieces):
    parts = split_sentences(text)
    assert len(parts) == pieces
    assert "".join(parts).replace(" ", "") == text.replace(" ", "")
    assert max(map(len, parts)) - min(map(len, parts)) < 10


@given(st.text())
def test_no_letter_or_digit_outside_list_marks_and_fences_is_lost(text):
    pieces = split_sentences(text)
    assert bool(pieces) == bool(text.strip())
    assert all(piece == piece.strip() for piece in pieces)
    assert all(piece in text or "\n" in piece for piece in pieces)


def test_a_number_after_an_abbreviation_ends_its_sentence():
    assert split_sentences("See fig. 2. Then etc. and so on.") == ["See fig. 2.", "Then etc. and so on."]


def split_long_texts():
    for unit in UNITS:
        run = unit * (LONG // len(unit))
        for text in (f"{run} b. C", f"a. {run}b. C"):
            surface_features([Sample("", "", text)])


def test_long_texts_of_one_thing_end():
    script = "from tests.core.text.test_sentences import split_long_texts; split_long_texts()"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
