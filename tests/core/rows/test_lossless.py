"""Rows survive the way to text and back, type and value."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.rows.lossless import UnencodableError, decode_row, encode_row

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.datetimes()
    | st.datetimes(timezones=st.just(dt.timezone.utc))
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("$mergeit"), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), VALUES))
def test_decoding_gives_back_the_row(row):
    decoded = decode_row(encode_row(row))
    assert decoded == row
    assert {name: type(value) for name, value in decoded.items()} == {name: type(value) for name, value in row.items()}


def test_not_a_number_survives():
    assert repr(decode_row(encode_row({"x": float("nan"), "y": [float("-inf")]}))) == "{'x': nan, 'y': [-inf]}"


def test_equal_rows_give_equal_text_whatever_the_order_of_columns():
    assert encode_row({"a": 1, "b": Decimal("1.50")}) == encode_row({"b": Decimal("1.50"), "a": 1})


@pytest.mark.parametrize("value", [object(), {1: "key is no text"}, [1j]])
def test_what_has_no_text_form_is_refused(value):
    with pytest.raises(UnencodableError):
        encode_row({"x": value})


def test_other_json_is_no_row():
    with pytest.raises(ValueError, match="encoded row"):
        decode_row("[1]")
