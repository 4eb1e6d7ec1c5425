"""The parameters of an operator, collected from the classes that declare them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mergeit_ops.dataset.overrides import given_on_command_line, option
from mergeit_ops.errors import RecipeError

if TYPE_CHECKING:
    from mergeit_ops.ops.sample_operator import SampleOperator

__all__ = ["check_at_most_one", "check_pair", "declare", "declared_parameters", "set_to"]

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


def check_at_most_one(operator: SampleOperator, names: Sequence[str]) -> None:
    """Refuse parameters that exclude each other.

    :param operator: the operator.
    :param names: its parameters of which at most one may have a value; null and an empty mapping count as none.
    :raises RecipeError: if several have one. The sentence says which to set to null: those that the recipe sets, if the
        command line sets another.
    """
    given = [name for name in names if operator.parameters[name] not in (None, {})]
    if len(given) < 2:
        return
    kept = [name for name in given if name in given_on_command_line(operator)]
    ways = [
        f"to keep {name}, {' and '.join(set_to(operator, other, None) for other in given if other != name)}"
        for name in (kept if len(kept) == 1 else given)
    ]
    advice = "; ".join(ways)
    raise RecipeError(
        f"{operator._name}: at most one of {_listed(names)} may be set, got {_listed(given)}. "
        f"{advice[0].upper()}{advice[1:]}."
    )


def check_pair(operator: SampleOperator, choice: str, value: str, name: str) -> None:
    """Refuse a choice without the parameter that it needs, and this parameter without the choice.

    :param operator: the operator.
    :param choice: name of the parameter that chooses.
    :param value: its value that needs the other parameter.
    :param name: name of the other parameter; its default is null.
    :raises RecipeError: if only one of the two is there.
    """
    chosen, given = operator.parameters[choice], operator.parameters[name]
    if (chosen == value) == (given is not None):
        return
    advice = f"Set {name}" if given is None else f"Set {choice} to {value}, or {set_to(operator, name, None)}"
    raise RecipeError(
        f"{operator._name}: `{choice}: {value}` needs a {name}, and a {name} needs `{choice}: {value}`; got {choice} "
        f"{chosen!r} and {name} {given!r}. {advice}."
    )


def set_to(operator: SampleOperator, name: str, value: Any) -> str:
    """Return advice to give a parameter another value, as part of a sentence, with the option of the command line.

    :param operator: the operator.
    :param name: name of the parameter.
    :param value: the value.
    """
    return f"set {name} to {json.dumps(value)} ({option(operator._name, name, value)})"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}"
