"""Find which of Data-Juicer's keys, such as `text_key`, an operator reads.

Data-Juicer passes all keys to every operator, and its operators do not declare which they use. So this module reads
their code.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache, lru_cache
from types import CodeType
from typing import Any


@cache
def _keys() -> dict[str, str]:
    """Return Data-Juicer's keys and the columns that they name by default."""
    from data_juicer.ops.base_op import OP

    return {
        name: default for name, (_, default) in OP._BASE_PARAMS.items() if name.endswith("_key") and default is not None
    }


@lru_cache(maxsize=256)
def keys_read(operator: type) -> frozenset[str]:
    """Return the names of the keys that the code of an operator reads.

    :param operator: its class.
    """
    own = [cls for cls in operator.__mro__ if cls.__module__ not in ("data_juicer.ops.base_op", "builtins")]
    names = {name for cls in own for code in _codes_of(cls) for name in code.co_names}
    return frozenset(_keys().keys() & names)


def default_column(key: str) -> str:
    """Return the column that a key names by default."""
    return _keys()[key]


def _codes_of(cls: type) -> Iterator[CodeType]:
    for member in vars(cls).values():
        function: Any = inspect.unwrap(getattr(member, "__func__", None) or getattr(member, "fget", None) or member)
        if inspect.isfunction(function):
            yield from _with_inner(function.__code__)


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)
