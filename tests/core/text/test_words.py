"""Words of any script, compared without their endings."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.text.words import FUNCTION_WORDS, count_words, exact_words, is_number, stems, word_runs


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \n\t", []),
        ("Name a Fish, please!", ["name", "a", "fish", "please"]),
        ("It isn't what you’d say", ["it", "isn't", "what", "you’d", "say"]),
        ("1,234,567 rows at 10:30 on 3/4 for 2.50", ["1234567", "rows", "at", "10:30", "on", "3/4", "for", "2.50"]),
        ("1. one\n2) two\n (3) three\n10. ten", ["one", "two", "three", "ten"]),
        ("2024. The year", ["2024", "the", "year"]),
        ("snake_case x2y", ["snake", "case", "x", "2", "y"]),
        ("川に住む魚", ["川", "に", "住", "む", "魚"]),
        ("iPhone手机", ["iphone", "手", "机"]),
        ("Überfluß Straße", ["überfluß", "straße"]),
        ("?", ["?"]),
        ("🙂!", ["🙂", "!"]),
    ],
)
def test_words_are_those_that_a_reader_sees(text, words):
    assert exact_words(text) == words


@pytest.mark.parametrize("text", ["हिन्दी की किताब", "தமிழ் மொழி", "বাংলা ভাষা", "עִבְרִית יָפָה", "اَلْعَرَبِيَّةُ لُغَةٌ"])
def test_marks_belong_to_the_letters_that_they_stand_at(text):
    assert exact_words(text) == text.split()


def test_a_letter_and_its_accent_are_one_however_they_are_written():
    composed = "Café déjà vu"
    assert exact_words(unicodedata.normalize("NFD", composed)) == [
        unicodedata.normalize("NFD", word) for word in exact_words(composed)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fish lives", ["fish", "live"]),
        ("bus gas", ["bus", "gas"]),
        ("translation translated", ["trans", "trans"]),
        ("123456789", ["123456789"]),
        ("", []),
    ],
)
def test_stems_lose_a_plural_and_what_follows_the_fifth_letter(text, expected):
    assert stems(text) == expected


def test_function_words_are_stems_themselves():
    assert set(stems("the these into above fish")) & FUNCTION_WORDS == {"the", "these", "into", "above"}
    assert "fish" not in FUNCTION_WORDS


@given(st.text())
def test_any_text_gives_words_that_are_not_empty_and_are_found_again(text):
    words = exact_words(text)
    assert all(words)
    assert len(stems(text)) == len(words)
    assert all(is_number(word) == word[0].isdigit() for word in words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Name three fruits.", 3),
        ("Don't use the 24-hour clock (e.g. 13:00) - ever!", 8),
        ("列出三种水果", 3),
        ("列出三种水果。", 3),
        ("用 Python 写", 2),
        ("写", 1),
        ("과일 세 개", 3),
        (" \n? - *", 0),
    ],
)
def test_words_are_counted_as_a_reader_counts_them(text, words):
    assert count_words(text) == words


def test_runs_of_words_are_all_of_one_length_and_in_order():
    assert word_runs(["a", "b", "c", "d"], 3) == [("a", "b", "c"), ("b", "c", "d")]
    assert word_runs(["a"], 1) == [("a",)]
    assert word_runs(["a", "b"], 3) == []
