"""Text of rows that wants more than to be read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.report.text import as_script_data, shown

any_text = st.text(st.characters(exclude_categories=()))


@given(any_text)
def test_script_data_cannot_leave_its_element_and_says_the_same(text):
    written = as_script_data({"text": text})
    assert not set("<>&\u2028\u2029") & set(written)
    written.encode("utf-8")
    assert json.loads(written) == {"text": text}


@pytest.mark.parametrize("text", ["</script><script>alert(1)</script>", "<!--<script>", "]]>", "\u2028", "\ud800"])
def test_hostile_texts_are_only_text(text):
    assert json.loads(as_script_data([text])) == [text]
    assert "<" not in as_script_data([text])


@given(any_text, st.integers(0, 20))
def test_what_is_shown_and_what_is_cut_make_the_text(text, limit):
    visible, cut = shown(text, limit)
    assert cut == max(0, len(text) - limit)
    visible.encode("utf-8")


def test_what_acts_unseen_is_written_out():
    assert shown("a\u202eb\x00\ud83d\u2066", 99) == ("a⟨U+202E⟩b⟨U+0000⟩⟨U+D83D⟩⟨U+2066⟩", 0)
    assert shown("line\r\nline\ttab", 99) == ("line\nline\ttab", 0)
    assert shown("abc", 2) == ("ab", 1)
