"""Compare a row with its former content, as far as the form of the export preserves it."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

_EXACT = (str, bool, type(None))


def is_plain(content: Mapping[str, Any]) -> bool:
    """Return whether every form of export preserves a row exactly: texts, integers, flags and nulls.

    In JSON exports, fractions have ten decimal places, and times are texts.
    """
    return all(_plain(value) for value in content.values())


def _plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_plain, value))
    return isinstance(value, (*_EXACT, int))


def differing_columns(exported: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Return the columns in which an exported row differs from its former content; a column that only one of them has
    counts too.

    :param exported: the row in the export.
    :param before: the row before the export.
    """
    names = dict.fromkeys([*exported, *before])
    return [name for name in names if not same_value(exported.get(name), before.get(name))]


def same_value(exported: Any, before: Any) -> bool:
    """Return whether a value is unchanged, as far as the form of the export preserves it.

    :param exported: the value in the export.
    :param before: the value before the export.
    """
    if isinstance(before, float) and math.isnan(before):
        return exported is None or (isinstance(exported, float) and math.isnan(exported))
    if isinstance(before, (float, Decimal)) and isinstance(exported, (int, float, Decimal)):
        return math.isclose(float(exported), float(before), rel_tol=1e-9, abs_tol=1e-10)
    if isinstance(before, (dt.date, dt.time)) and exported is not None and exported != before:
        return _same_time(exported, before)
    if isinstance(before, Mapping) and isinstance(exported, Mapping):
        # If one row has a field of a struct, all rows have it.
        return all(same_value(exported.get(key), before.get(key)) for key in {*exported, *before})
    if _is_list(before) and _is_list(exported):
        return len(exported) == len(before) and all(map(same_value, exported, before))
    return bool(exported == before) and isinstance(exported, bool) == isinstance(before, bool)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _same_time(exported: Any, before: dt.datetime | dt.date | dt.time) -> bool:
    """Compare to the millisecond: in JSON, a time is a text or the milliseconds since 1970, in UTC."""
    if isinstance(before, dt.time):
        return exported == before.isoformat()
    if isinstance(exported, str):
        try:
            exported = dt.datetime.fromisoformat(exported.replace("Z", "+00:00"))
        except ValueError:
            return exported == str(before)
    if isinstance(exported, dt.date):
        exported = _milliseconds(exported)
    number = isinstance(exported, (int, float)) and not isinstance(exported, bool)
    return number and math.isclose(exported, _milliseconds(before), rel_tol=0, abs_tol=1)


def _milliseconds(moment: dt.date) -> float:
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime(moment.year, moment.month, moment.day)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)
    return aware.timestamp() * 1000
