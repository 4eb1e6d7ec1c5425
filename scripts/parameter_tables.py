"""Tables of operators and their parameters, made from docstrings so that they agree with the code."""

from __future__ import annotations

import inspect
import re

import data_juicer.ops  # noqa: F401  registers the operators

import mergeit_ops.ops
from mergeit_ops.ops.parameters import declared_parameters

_PARAMETER = re.compile(r"^:param (\w+): (.*(?:\n(?!:).*)*)", re.MULTILINE)


def operators() -> dict[str, type]:
    classes = [getattr(mergeit_ops.ops, name) for name in mergeit_ops.ops.__all__]
    return {operator._name: operator for operator in classes}


def described(operator: type) -> list[tuple[str, str, str]]:
    """Return the name, default and meaning of each parameter for a table."""
    meanings: dict[str, str] = {}
    for cls in reversed(operator.__mro__):
        if "__init__" in cls.__dict__:
            meanings |= dict(_PARAMETER.findall(inspect.cleandoc(cls.__dict__["__init__"].__doc__ or "")))
    return [
        (name, _spelled(parameter.default), " ".join(meanings[name].split()).replace("|", r"\|"))
        for name, parameter in declared_parameters(operator).items()
    ]


def summary(operator: type) -> str:
    """Return the first sentence of an operator's docstring."""
    return " ".join((inspect.getdoc(operator) or "").split("\n\n")[0].split())


def overview() -> str:
    """Return the table of all operators, with links to their pages from `docs`."""
    rows = [f"| [{name}](operators/{name}.md) | {summary(made)} |" for name, made in operators().items()]
    return "| operator | what it does |\n|---|---|\n" + "\n".join(rows) + "\n"


def _spelled(default: object) -> str:
    words = {None: "null", True: "true", False: "false"}
    return words[default] if default is None or isinstance(default, bool) else f"`{default}`"
