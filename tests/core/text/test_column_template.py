"""Templates of columns: `str.format` without its powers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.text.column_template import ColumnTemplate


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{query}\n{response}", "Q\nR"),
        ("{query}{query}", "QQ"),
        ("{{{query}}}", "{Q}"),
        ("{{query}}", "{query}"),
        ("", ""),
        ("no column", "no column"),
        ("{a column}: {naïve}", "C: N"),
    ],
)
def test_names_are_replaced_and_doubled_braces_stay(text, expected):
    values = {"query": "Q", "response": "R", "a column": "C", "naïve": "N"}
    assert ColumnTemplate(text).render(values) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("{", "}", "{query", "query}", "{}", "{0}", "{query.upper}", "{query[0]}", "{query!r}", "{query:>10}"),
        *("{query:{response}}", "{query.__class__.__mro__}", "{query:}}"),
    ],
)
def test_what_is_more_than_a_name_is_refused(text):
    with pytest.raises(ValueError, match=r"brace|'\{|'}'|expected"):
        ColumnTemplate(text)


@given(st.text())
def test_values_are_never_read_as_templates(value):
    assert ColumnTemplate("<{query}>").render({"query": value}) == f"<{value}>"


@given(st.text())
def test_any_text_is_itself_when_its_braces_are_doubled(text):
    assert ColumnTemplate(text.replace("{", "{{").replace("}", "}}")).render({}) == text
