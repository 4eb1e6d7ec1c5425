"""Moving some cases of a long test to `make test-slow`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def every(step: int, cases: Iterable[Any]) -> list[Any]:
    """Return all cases of a test. One in `step` runs in `make test`, and the others run only in `make test-slow`.

    This is for tests whose cases each take seconds and follow the same path, so that one case represents the others.

    :param step: size of a group of cases; 1: all run in `make test`.
    :param cases: cases, as in `pytest.mark.parametrize`.
    """
    return [case if number % step == 0 else _slow(case) for number, case in enumerate(cases)]


def _slow(case: Any) -> Any:
    if hasattr(case, "marks"):
        return pytest.param(*case.values, marks=[*case.marks, pytest.mark.slow], id=case.id)
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.slow)
