"""Text that tokenizers, pages and terminals can handle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.text.characters import UNSEEN, encodable, printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", ""), ("Grüße 🙂\n", "Grüße 🙂\n"), ("a\ud800b", "a?b"), ("\udfff", "?"), ("\x00", "\x00")],
)
def test_half_a_surrogate_pair_becomes_a_question_mark(text, expected):
    assert encodable(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("tab\tand\nline", "tab\tand\nline"),
        ("Windows\r\nline", "Windows\nline"),
        ("back\rover", "back\\rover"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("abc\u202edef", "abc\\u202edef"),
        ("half \ud83d pair", "half \\ud83d pair"),
        ("\u2028\u200b\ufeff", "\\u2028\\u200b\\ufeff"),
        ("\U000e0041", "\\U000e0041"),
        ("plain 🙂 text", "plain 🙂 text"),
    ],
)
def test_what_acts_without_being_seen_is_escaped(text, expected):
    assert printable(text) == expected


@pytest.mark.parametrize("text", ["co\u00adop", "👨\u200d👩\u200d👧", "می\u200cخواهم", "葛\U000e0100", "❤\ufe0f"])
def test_what_scripts_and_emoji_need_stays(text):
    assert printable(text) == text
    assert UNSEEN.search(text) is None


def test_a_selector_of_variants_hides_text_only_where_no_ideograph_is_before_it():
    assert UNSEEN.search("a\U000e0100")


def test_a_terminal_gets_only_what_it_can_encode():
    assert printable("Grüße 🙂", "ascii") == "Gr\\xfc\\xdfe \\U0001f642"
    assert printable("Grüße", "latin-1") == "Grüße"


@given(st.text(st.characters()))
def test_any_text_can_be_written_to_any_terminal(text):
    for encoding in ("utf-8", "ascii", "cp1252"):
        shown = printable(text, encoding)
        assert shown.encode(encoding).decode(encoding) == shown
        assert UNSEEN.search(shown) is None
    assert len(encodable(text).encode("utf-8").decode("utf-8")) == len(text)
