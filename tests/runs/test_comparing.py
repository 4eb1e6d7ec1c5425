"""A row compared with what it was, across what a form of export can hold."""

import datetime as dt
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.runs.comparing import differing_columns, is_plain, same_value

NAN = float("nan")
MOMENT = dt.datetime(2024, 2, 29, 12, 30, 15, 250_000)
MILLISECONDS = 1_709_209_815_250


@pytest.mark.parametrize(
    ("exported", "before"),
    [
        (None, None),
        ("a", "a"),
        (1, 1),
        (1.0, 1),
        (0.1234567890, 0.12345678901),
        (None, NAN),
        (NAN, NAN),
        (1.5, Decimal("1.5")),
        (1, 1.0),
        ([1, "a"], (1, "a")),
        ({"a": 1, "b": None}, {"a": 1}),
        ({"a": 1}, {"a": 1, "b": None}),
        ([], []),
        (MOMENT.isoformat(), MOMENT),
        (MILLISECONDS, MOMENT),
        ("2024-02-29T12:30:15.250Z", MOMENT.replace(tzinfo=dt.timezone.utc)),
        ("2024-02-29", dt.date(2024, 2, 29)),
        (dt.datetime(2024, 2, 29), dt.date(2024, 2, 29)),
        ("12:30:00", dt.time(12, 30)),
    ],
)
def test_what_an_export_rounds_is_the_same(exported, before):
    assert same_value(exported, before)
    assert differing_columns({"x": exported}, {"x": before}) == []


@pytest.mark.parametrize(
    ("exported", "before"),
    [
        ("a", "b"),
        ("1", 1),
        (True, 1),
        (1, True),
        (0, False),
        (0.124, 0.123),
        (None, 0.0),
        (0.0, None),
        (None, "a"),
        ([1], [1, 2]),
        ("ab", ["a", "b"]),
        ({"a": 2}, {"a": 1}),
        ({"a": None}, {"a": 1}),
        (MILLISECONDS + 5, MOMENT),
        ("yesterday", MOMENT),
        (True, MOMENT),
        ("12:31:00", dt.time(12, 30)),
        (None, MOMENT),
    ],
)
def test_what_was_changed_is_not(exported, before):
    assert not same_value(exported, before)


def test_a_column_that_only_one_row_has_counts_unless_it_is_null():
    assert differing_columns({"a": 1, "new": 2, "null": None}, {"a": 1, "lost": "x"}) == ["new", "lost"]
    assert differing_columns({}, {}) == []


@pytest.mark.parametrize(
    ("value", "plain"),
    [("a", True), (7, True), (True, True), (None, True), ([{"a": ["x"]}], True), (0.5, False), ([{"a": 0.5}], False),
     (MOMENT, False), (b"x", False), ({}, True)],
)  # fmt: skip
def test_plain_rows_come_back_to_the_letter(value, plain):
    assert is_plain({"text": "a", "x": value}) is plain


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_every_plain_value_is_the_same_after_json(value):
    assert is_plain({"x": value})
    assert same_value(json.loads(json.dumps(value)), value)
