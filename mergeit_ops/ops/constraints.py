"""What values a parameter may have, as data; a value outside is one sentence for the recipe's author."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mergeit_ops.errors import RecipeError


class Constraint(Protocol):
    """The allowed values of one parameter."""

    def allows(self, value: Any) -> bool:
        """Return whether a value is allowed."""

    def __str__(self) -> str:
        """Say what is allowed, to follow the word "must be"."""


@dataclass(frozen=True)
class Number:
    """A number in a range; a bool is none."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False
    integer: bool = False
    optional: bool = False

    def allows(self, value: Any) -> bool:
        """See `Constraint`."""
        if value is None:
            return self.optional
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
            span = f" {'above' if self.low_open else 'of at least'} {self.low:g}"
        else:
            left, right = "(" if self.low_open else "[", ")" if self.high_open else "]"
            span = f" in {left}{self.low:g}, {self.high:g}{right}"
        return kind + span + (" or null" if self.optional else "")


@dataclass(frozen=True)
class OneOf:
    """One of a few names."""

    values: tuple[str, ...]

    def allows(self, value: Any) -> bool:
        """See `Constraint`."""
        return isinstance(value, str) and value in self.values

    def __str__(self) -> str:
        """See `Constraint`."""
        return "one of " + ", ".join(repr(value) for value in self.values)


@dataclass(frozen=True)
class Instance:
    """A value of a type."""

    type: type
    description: str
    optional: bool = False

    def allows(self, value: Any) -> bool:
        """See `Constraint`."""
        if value is None:
            return self.optional
        return isinstance(value, self.type) and not (self.type is str and not value)

    def __str__(self) -> str:
        """See `Constraint`."""
        return self.description + (" or null" if self.optional else "")


@dataclass(frozen=True)
class Names:
    """A list of names, or null."""

    def allows(self, value: Any) -> bool:
        """See `Constraint`."""
        if value is None:
            return True
        return isinstance(value, (list, tuple)) and all(isinstance(name, str) and name for name in value)

    def __str__(self) -> str:
        """See `Constraint`."""
        return "a list of non-empty texts or null"


NAMES = Names()
FLAG = Instance(bool, "true or false")
TEXT = Instance(str, "a non-empty text")
OPTIONAL_TEXT = Instance(str, "a non-empty text", optional=True)
MAPPING = Instance(Mapping, "a mapping", optional=True)


def check(operator: str, constraints: Mapping[str, Constraint], values: Mapping[str, Any]) -> None:
    """Check parameters against their constraints.

    :param operator: registry name, for the message.
    :param constraints: parameter name to what it may be.
    :param values: parameter name to what the recipe says; others are ignored.
    :raises RecipeError: for the first value outside, naming operator, parameter, what is allowed and what came.
    """
    for name, constraint in constraints.items():
        if not constraint.allows(values[name]):
            raise RecipeError(f"{operator}: {name} must be {constraint}, got {values[name]!r}.")
