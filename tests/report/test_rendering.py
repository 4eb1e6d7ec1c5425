"""Numbers as people read them, and pages that need nothing beside themselves."""

import math

import pytest
from jinja2 import UndefinedError

from mergeit_ops.report.rendering import ASSETS, count, figure, fragment, percent, plain, rounded, seconds


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (60, "1 min 00 s"),
        (125.4, "2 min 05 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (3_600_060, "1,000 h 01 min"),
    ],
)
def test_durations(value, shown):
    assert seconds(value) == shown


def test_counts_figures_and_shares():
    assert (count(1234567), count(0), count(None)) == ("1,234,567", "0", "–")
    assert (figure(1234.5), figure(0.12345, 4), figure(None)) == ("1,234.50", "0.1235", "–")
    assert (percent(0.12345), percent(1.0, 0)) == ("12.3 %", "100 %")


@pytest.mark.parametrize("value", [None, math.nan, math.inf, "7", []])
def test_what_is_no_number_is_none_for_a_script(value):
    assert rounded(value, 2) is None
    assert rounded(1.2345, 2) == 1.23


def test_text_of_rows_shows_what_acts_without_being_seen():
    assert plain("a\u202eb") == "a⟨U+202E⟩b"
    assert len(plain("x" * 10_000)) == 3_000


def test_text_in_a_template_is_escaped_and_a_forgotten_name_is_an_error():
    from mergeit_ops.report.rendering import _environment

    template = _environment(ASSETS).from_string("{{ text }} {{ n }}")
    assert template.render(text="<b>&", n=1000) == "&lt;b&gt;&amp; 1000"
    with pytest.raises(UndefinedError):
        template.render(text="x")
    with pytest.raises(UndefinedError):
        fragment(ASSETS, "page.html", {})
