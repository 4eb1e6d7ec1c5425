"""Failed calls in the terms of the engine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.llm.failures import CallFailedError, FailureKind, shorten
from mergeit_ops.llm.masking import masking
from mergeit_ops.llm.response_guard import UnusableResponseError


def test_no_failure_is_both_about_one_request_and_hopeless():
    for kind in FailureKind:
        assert not (kind.retryable and kind.fatal) or kind is FailureKind.UNREACHABLE
    assert [kind for kind in FailureKind if kind.of_account and kind.retryable] == [FailureKind.RATE_LIMITED]
    assert not FailureKind.FORBIDDEN.fatal


def test_a_failure_with_other_words_is_the_same_failure():
    failure = CallFailedError(
        FailureKind.RATE_LIMITED, "slow\x1b[31m", status=429, retry_after=2.5, field="n", models=("a",)
    )
    assert str(failure) == "slow\\x1b[31m"
    other = failure.but(detail="slower")
    assert (other.kind, other.detail, other.status, other.retry_after) == (failure.kind, "slower", 429, 2.5)
    assert (other.field, other.models) == ("n", ("a",))
    assert failure.detail == "slow\\x1b[31m"


def test_a_note_on_a_failure_does_not_stand_in_the_way():
    failure = CallFailedError(FailureKind.TRANSIENT, "x")
    failure.__notes__ = ["a note"]
    assert failure.but(detail="y").detail == "y"


def test_what_a_redirect_adds_stays_with_it():
    failure = UnusableResponseError("streams", "turn it off", status=200)
    other = failure.but(detail="streams, through a proxy")
    assert isinstance(other, UnusableResponseError)
    assert (other.todo, other.status, other.detail) == ("turn it off", 200, "streams, through a proxy")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("  two\n\nlines\t", "two lines"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("bell\x07 \u202e", "bell"),
        ("Incorrect API key provided: sk-abcdef123456.", "Incorrect API key provided: ***."),
        ("Authorization: Bearer abcdefgh", "Authorization: Bearer ***"),
        ("a" * 300, "a" * 300),
        ("a" * 301, "a" * 299 + "…"),
        ("模型不存在", "模型不存在"),
    ],
)
def test_a_text_of_a_server_becomes_one_short_line_without_keys(text, line):
    assert shorten(text) == line


def test_what_was_sent_in_confidence_is_masked_before_the_line_is_cut():
    text = "a" * 295 + " secret-word"
    assert "secret" not in shorten(text, masking(["secret-word"]))


@given(st.text() | st.text(alphabet="ab \t\n\r\x0b\x1c\x85\xa0\u2028\x00\x07\u200b\x7f", max_size=30))
def test_a_short_line_is_the_printable_characters_between_single_blanks(text):
    kept = "".join(char if char.isprintable() else " " for char in text)
    if "\x1b" not in text:
        assert shorten(text) == " ".join(kept.split())[:300] or len(text) > 299
