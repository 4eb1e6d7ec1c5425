"""What is measured, and how a value is shown."""

import math

import pytest

from mergeit_ops.compare.measures import BY_KEY, MEASURES, Measure, known

PLAIN = Measure("k", "name", "higher", "", "", digits=2)
SHARE = Measure("k", "name", "lower", "", "", digits=1, share=True)
COUNT = Measure("k", "name", None, "", "", digits=0)


@pytest.mark.parametrize(
    ("measure", "value", "shown", "signed"),
    [
        (PLAIN, 1234.5, "1,234.50", "+1,234.50"),
        (PLAIN, -0.001, "0.00", "0.00"),
        (PLAIN, -0.01, "-0.01", "-0.01"),
        (PLAIN, 0, "0.00", "0.00"),
        (PLAIN, None, "–", "–"),
        (PLAIN, math.nan, "–", "–"),
        (SHARE, 0.1234, "12.3 %", "+12.3 %"),
        (SHARE, -0.0001, "0.0 %", "0.0 %"),
        (COUNT, 12.0, "12", "+12"),
        (COUNT, 12.4, "12.4", "+12.4"),
        (COUNT, 7, "7", "+7"),
    ],
)
def test_values_are_shown_as_people_read_them(measure, value, shown, signed):
    assert measure.shown(value) == shown
    assert measure.shown(value, signed=True) == signed


def test_an_interval_has_its_unit_once():
    assert SHARE.spanned(0.1, 0.2) == "10.0 to 20.0"
    assert PLAIN.spanned(-1, 1, signed=True) == "-1.00 to +1.00"
    assert PLAIN.spanned(None, 1) == PLAIN.spanned(1, None) == ""


def test_what_is_not_defined_is_null_in_json():
    assert known(math.nan) is None
    assert known(0.0) == 0.0


def test_every_measure_says_what_it_is_and_what_it_does_not_say():
    assert list(BY_KEY) == [measure.key for measure in MEASURES]
    assert all(measure.says.endswith(".") and measure.not_said.endswith(".") for measure in MEASURES)
