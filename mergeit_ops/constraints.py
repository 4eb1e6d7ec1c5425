"""The allowed values of parameters, as data; any other value becomes a sentence for the recipe's author."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mergeit_ops.core.secrets import secret_in
from mergeit_ops.errors import RecipeError

__all__ = [
    "ANY_TEXT",
    "FLAG",
    "MAPPING",
    "NAMES",
    "NUMBER_PAIR",
    "OPTIONAL_FLAG",
    "OPTIONAL_PATH",
    "OPTIONAL_TEXT",
    "PATHS",
    "TEXT",
    "Constraint",
    "Number",
    "OneOf",
    "SomeOf",
    "check",
    "refuse_secrets",
]


class Constraint(Protocol):
    """The allowed values of one parameter."""

    def allows(self, value: Any) -> bool:
        """Return whether a value is allowed."""

    def __str__(self) -> str:
        """Say what is allowed, to follow the word "must be"."""


def _spelled(bound: float) -> str:
    return f"{int(bound)}" if bound == int(bound) else f"{bound:g}"


@dataclass(frozen=True)
class Number:
    """A number in a range; a bool does not count as a number.

    :param low: lowest allowed number.
    :param high: highest allowed number.
    :param low_open: whether `low` itself is excluded.
    :param high_open: whether `high` itself is excluded.
    :param integer: whether it must be an integer.
    :param optional: whether null is allowed too.
    :param words: words that are allowed too.
    """

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False
    integer: bool = False
    optional: bool = False
    words: tuple[str, ...] = ()

    def allows(self, value: Any) -> bool:
        """See `Constraint`."""
        if value is None:
            return self.optional
        if isinstance(value, str):
            return value in self.words
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return False
        if self.integer and value != int(value):
            return False
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below

    def __str__(self) -> str:
        """See `Constraint`."""
        kind = "a whole number" if self.integer else "a number"
        if math.isinf(self.low) and math.isinf(self.high):
            span = ""
        elif math.isinf(self.high):
            span = f" {'above' if self.low_open else 'of at least'} {_spelled(self.low)}"
        else:
            left, right = "(" if self.low_open else "[", ")" if self.high_open else "]"
            span = f" in {left}{_spelled(self.low)}, {_spelled(self.high)}{right}"
        return kind + span + "".join(f" or {word!r}" for word in self.words) + (" or null" if self.optional else "")


@dataclass(frozen=True)
class OneOf:
    """One of a few names."""

    values: Collection[str]
    optional: bool = False

    def allows(self, value: Any) -> bool:
        """See `Constraint`."""
        return self.optional if value is None else isinstance(value, str) and value in self.values

    def __str__(self) -> str:
        """See `Constraint`."""
        return "one of " + ", ".join(map(repr, self.values)) + (" or null" if self.optional else "")


@dataclass(frozen=True)
class SomeOf:
    """A list of one or more of a few names, each once."""

    values: Collection[str]

    def allows(self, value: Any) -> bool:
        """See `Constraint`."""
        if not isinstance(value, (list, tuple)) or not value or not all(isinstance(name, str) for name in value):
            return False
        return set(value) <= set(self.values) and len(set(value)) == len(value)

    def __str__(self) -> str:
        """See `Constraint`."""
        return "a list of one or more of " + ", ".join(map(repr, self.values))


@dataclass(frozen=True)
class Kind:
    """A value of one kind."""

    description: str
    fits: Callable[[Any], bool]
    optional: bool = False

    def allows(self, value: Any) -> bool:
        """See `Constraint`."""
        return self.optional if value is None else self.fits(value)

    def __str__(self) -> str:
        """See `Constraint`."""
        return self.description + (" or null" if self.optional else "")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


FLAG = Kind("true or false", lambda value: isinstance(value, bool))
OPTIONAL_FLAG = Kind("true or false", lambda value: isinstance(value, bool), optional=True)
TEXT = Kind("a non-empty text", _is_text)
ANY_TEXT = Kind("a text", lambda value: isinstance(value, str))
OPTIONAL_TEXT = Kind("a non-empty text", _is_text, optional=True)
OPTIONAL_PATH = Kind("a path", lambda value: _is_text(value) or isinstance(value, os.PathLike), optional=True)
PATHS = Kind(
    "a path, or a list of paths",
    lambda value: _is_text(value) or (isinstance(value, (list, tuple)) and bool(value) and all(map(_is_text, value))),
)
MAPPING = Kind("a mapping of names to values", _is_mapping, optional=True)
NAMES = Kind(
    "a list of non-empty texts",
    lambda value: isinstance(value, (list, tuple)) and all(map(_is_text, value)),
    optional=True,
)
NUMBER_PAIR = Kind(
    "a list of two numbers",
    lambda value: isinstance(value, (list, tuple)) and len(value) == 2 and all(map(Number().allows, value)),
    optional=True,
)


def check(constraints: Mapping[str, Constraint], values: Mapping[str, Any], owner: str = "") -> None:
    """Check parameters against their constraints.

    :param constraints: maps names of parameters to their allowed values.
    :param values: maps names of parameters to their values in the recipe; parameters without a constraint are ignored.
    :param owner: name of the operator or scorer, for the message; empty for no name.
    :raises RecipeError: for the first value that is not allowed. The message names the owner, the parameter, the
        allowed values and the value; it never repeats a value that holds a secret.
    """
    for name, constraint in constraints.items():
        if not constraint.allows(values[name]):
            came = _came(constraint, name, values[name])
            raise RecipeError(f"{_prefix(owner)}{name} must be {constraint}, got {came}.")


def _came(constraint: Constraint, name: str, value: Any) -> str:
    if constraint is MAPPING and isinstance(value, str):
        # A mapping as text may hold a secret anywhere.
        return "a text"
    return repr(value) if secret_in({name: value}) is None else "a value that holds a secret"


def refuse_secrets(
    parameters: Mapping[str, Any],
    owner: str = "",
    variable: str = "OPENAI_API_KEY, or HF_TOKEN for the Hugging Face Hub",
) -> None:
    """Refuse credentials in a recipe, without repeating them.

    :param parameters: maps names to values.
    :param owner: see `check`.
    :param variable: name of the environment variable that holds the credential instead.
    :raises RecipeError: if one of them holds a credential; the message names its place.
    """
    where = secret_in(parameters)
    if where is not None:
        raise RecipeError(
            f"{_prefix(owner)}{where} looks like a secret, which a recipe must not hold: recipes are shared, and "
            f"Data-Juicer copies them into logs and work dirs. Put it into the environment instead ({variable})."
        )


def _prefix(owner: str) -> str:
    return f"{owner}: " if owner else ""
