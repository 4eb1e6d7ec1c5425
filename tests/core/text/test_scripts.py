"""Shares of scripts in a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.text.scripts import main_script, script_shares, shares_script


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Früchte, 3 – naïve!", "LATIN"),
        ("Назови три фрукта", "CYRILLIC"),
        ("列出三种水果", "CJK"),
        ("三つの果物を挙げて、産地を説明してください", "KANA"),
        ("과일 세 개를 말하세요", "HANGUL"),
        ("तीन फल बताइए", "DEVANAGARI"),
        ("اذكر ثلاث فواكه", "ARABIC"),
        ("1 + 1 = 2 😀", None),
        ("", None),
    ],
)
def test_the_main_script_of_a_text(text, script):
    assert main_script(text) == script


def test_shares_are_of_letters():
    assert script_shares("ab, 12 вг") == {"LATIN": 0.5, "CYRILLIC": 0.5}


def test_a_fifth_of_the_letters_is_enough():
    assert shares_script("漢字", "abcd漢")
    assert not shares_script("漢字", "abcde漢")


@pytest.mark.parametrize("text", ["3.14", "😀", "", "…"])
def test_a_text_without_letters_belongs_to_every_language(text):
    assert shares_script(text, "It is 3.14")
    assert shares_script("It is 3.14", text)


@given(st.text(max_size=40))
def test_shares_sum_to_one_and_each_text_agrees_with_itself(text):
    shares = script_shares(text)
    assert not shares or sum(shares.values()) == pytest.approx(1)
    assert shares_script(text, text) or max(shares.values()) < 0.2
