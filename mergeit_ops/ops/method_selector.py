"""Shared base of the selectors that have several methods."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar

from mergeit_ops.constraints import Number
from mergeit_ops.core.selection.method import SelectionMethod
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops.parameters import set_to
from mergeit_ops.ops.topic_selector import TopicSelector


class MethodSelector(TopicSelector):
    """Base of the selectors whose parameter `method` names the algorithm.

    A method is a dataclass. Its fields are the operator's parameters that it reads.
    """

    methods: ClassVar[Mapping[str, type[SelectionMethod]]] = {}
    """Methods by name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """
        Initialization method.

        :param args: see `TopicSelector`.
        :param kwargs: see `TopicSelector`.
        :raises RecipeError: if a parameter of another method is set.
        """
        super().__init__(*args, **kwargs)
        self._check_unread()

    def _check_unread(self) -> None:
        """Refuse a parameter of another method."""
        method = self.parameters["method"]
        defaults = inspect.signature(type(self).__init__).parameters
        for name in sorted(set().union(*map(self._parameters_of, self.methods)) - self._parameters_of(method)):
            if name in defaults and self.parameters[name] != defaults[name].default:
                others = [other for other in self.methods if name in self._parameters_of(other)]
                raise RecipeError(
                    f"{self._name}: the method {method!r} does not read {name}, which belongs to "
                    f"{', '.join(others)}; {set_to(self, name, defaults[name].default)}, or take one of these "
                    "methods."
                )

    @property
    def method(self) -> SelectionMethod:
        """Return the method, with the parameters that it reads."""
        method = self.parameters["method"]
        values = {name: self.parameters[name] for name in self._parameters_of(method)}
        # A recipe may write a whole number as 3.0.
        whole = {name: int(value) for name, value in values.items() if self._is_whole(name) and value is not None}
        return self.methods[method](**{**values, **whole})

    def _parameters_of(self, method: str) -> set[str]:
        return {field.name for field in fields(self.methods[method])}  # type: ignore[arg-type]

    def _is_whole(self, name: str) -> bool:
        constraint = self._constraints[name]
        return isinstance(constraint, Number) and constraint.integer
