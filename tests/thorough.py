"""Leaving some cases of a long test to `make test-slow`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def every(step: int, cases: Iterable[Any]) -> list[Any]:
    """Return all cases of a test, of which one in so many runs in `make test`, and the others in `make test-slow`.

    For tests whose cases take seconds each and go the same way: the first case stands for those behind it.

    :param step: 1 leaves all in `make test`.
    :param cases: as `pytest.mark.parametrize` takes them.
    """
    return [case if number % step == 0 else _slow(case) for number, case in enumerate(cases)]


def _slow(case: Any) -> Any:
    if hasattr(case, "marks"):
        return pytest.param(*case.values, marks=[*case.marks, pytest.mark.slow], id=case.id)
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.slow)
