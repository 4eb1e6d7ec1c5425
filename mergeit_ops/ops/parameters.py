"""The parameters of an operator, collected from the classes that declare them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mergeit_ops.ops.sample_operator import SampleOperator

__all__ = ["declare", "declared_parameters"]

_NOT_PARAMETERS = ("self", "args", "kwargs", "__class__")


def declared_parameters(operator: type) -> dict[str, inspect.Parameter]:
    """Return the parameters, with defaults, of an operator and of its base classes in this package, its own ones first.

    :param operator: an operator of ours.
    """
    found: dict[str, inspect.Parameter] = {}
    for cls in operator.__mro__:
        if "__init__" in cls.__dict__ and cls.__module__.startswith(__package__ or ""):
            for name, parameter in inspect.signature(cls.__dict__["__init__"]).parameters.items():
                if parameter.default is not parameter.empty:
                    found.setdefault(name, parameter)
    return found


def declare(operator: SampleOperator, local_variables: Mapping[str, Any]) -> None:
    """Add the parameters of one class to those of an operator. The class calls this first in its `__init__`.

    :param operator: the operator.
    :param local_variables: `locals()` of the `__init__`.
    """
    own = {name: value for name, value in local_variables.items() if name not in _NOT_PARAMETERS}
    operator.parameters = {**own, **operator.__dict__.get("parameters", {})}
