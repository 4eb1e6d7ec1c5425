"""Convert rows to JSON text and back, without losing a value or its type.

JSON has no bytes, timestamps, decimals or NaN; these are written as `{"$mergeit": tag, "value": text}`.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

_TAG = "$mergeit"
_PLAIN = frozenset((str, int, bool, type(None)))  # nearly all values; a call for each would take most of the time


class UnencodableError(ValueError):
    """The row holds a value that has no lossless text form."""


def encode_row(row: Mapping[str, Any]) -> str:
    """Return a row as one line of JSON with sorted keys, so that equal rows have equal texts.

    :param row: maps column names to values: None, bool, int, float, str, bytes, datetime, date, time, timedelta,
        Decimal, and lists and dicts of these.
    :raises UnencodableError: if a value is of another type.
    """
    return json.dumps(
        {name: value if type(value) in _PLAIN else _encode(value) for name, value in row.items()},
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
    )


def decode_row(text: str) -> dict[str, Any]:
    """Return the row that `encode_row` wrote.

    :param text: result of `encode_row`.
    :raises ValueError: if the text is not such a row.
    """
    row = json.loads(text)
    if not isinstance(row, dict):
        raise ValueError(f"Expected an encoded row (a JSON object), got a {type(row).__name__}.")
    return {name: _decode(value) for name, value in row.items()}


def _tagged(tag: str, value: Any) -> dict[str, Any]:
    return {_TAG: tag, "value": value}


def _encode(value: Any) -> Any:
    if type(value) in _PLAIN or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else _tagged("float", repr(value))
    if isinstance(value, (list, tuple)):
        return [_encode(item) for item in value]
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise UnencodableError("A mapping with keys that are not text has no JSON form.")
        encoded = {key: item if type(item) in _PLAIN else _encode(item) for key, item in value.items()}
        # A user's own dict that looks like a tag is wrapped, so decoding cannot mistake it.
        return _tagged("dict", encoded) if _TAG in encoded else encoded
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _tagged("bytes", base64.b64encode(bytes(value)).decode("ascii"))
    if getattr(value, "nanosecond", 0) or getattr(value, "nanoseconds", 0):
        raise UnencodableError("A time with nanoseconds has no lossless text form.")  # pandas' own types have them
    # datetime before date, because a datetime is a date.
    if isinstance(value, dt.datetime):
        return _tagged("datetime", value.isoformat())
    if isinstance(value, dt.date):
        return _tagged("date", value.isoformat())
    if isinstance(value, dt.time):
        return _tagged("time", value.isoformat())
    if isinstance(value, dt.timedelta):
        return _tagged("timedelta", [value.days, value.seconds, value.microseconds])
    if isinstance(value, Decimal):
        return _tagged("decimal", str(value))
    raise UnencodableError(f"A value of type {type(value).__name__} has no lossless text form.")


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _TAG not in value:
        return {key: _decode(item) for key, item in value.items()}
    return _DECODERS[value[_TAG]](value["value"])


_DECODERS: dict[str, Any] = {
    "float": float,
    "dict": lambda fields: {key: _decode(item) for key, item in fields.items()},
    "bytes": base64.b64decode,
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "time": dt.time.fromisoformat,
    "timedelta": lambda parts: dt.timedelta(*parts),
    "decimal": Decimal,
}
