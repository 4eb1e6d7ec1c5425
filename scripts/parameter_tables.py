"""The parameter tables of the README, from the operators' docstrings, so that they cannot drift.

`make docs` rewrites README.md in place; a test expects no change.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import data_juicer.ops  # noqa: F401  registers the operators

import mergeit_ops.ops
from mergeit_ops.ops.parameters import declared_parameters

README = Path(__file__).resolve().parents[1] / "README.md"
SHARED = (
    "embedding_model",
    "embedding_batch_size",
    "embedding_dtype",
    "sample_format",
    "instruction_key",
    "query_key",
    "response_key",
)
_BLOCK = re.compile(r"(<!-- parameters: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_PARAMETER = re.compile(r"^:param (\w+): (.*(?:\n(?!:).*)*)", re.MULTILINE)


def operators() -> dict[str, type]:
    classes = [getattr(mergeit_ops.ops, name) for name in mergeit_ops.ops.__all__]
    return {operator._name: operator for operator in classes}


def described(operator: type) -> list[tuple[str, str, str]]:
    """Return name, default and meaning of each parameter, as they stand in a table."""
    meanings: dict[str, str] = {}
    for cls in reversed(operator.__mro__):
        if "__init__" in cls.__dict__:
            meanings |= dict(_PARAMETER.findall(inspect.cleandoc(cls.__dict__["__init__"].__doc__ or "")))
    return [
        (name, _spelled(parameter.default), " ".join(meanings[name].split()).replace("|", r"\|"))
        for name, parameter in declared_parameters(operator).items()
    ]


def rows_of(operator: type, shared: bool) -> list[str]:
    return [
        f"| `{name}` | {default} | {meaning} |"
        for name, default, meaning in described(operator)
        if (name in SHARED) == shared
    ]


def summary(operator: type) -> str:
    """Return the first sentence of an operator's docstring."""
    return " ".join((inspect.getdoc(operator) or "").split("\n\n")[0].split())


def overview() -> str:
    """Return the table of all operators, with links to their pages."""
    rows = [f"| [{name}](docs/operators/{name}.md) | {summary(made)} |" for name, made in operators().items()]
    return "| operator | what it does |\n|---|---|\n" + "\n".join(rows) + "\n"


def table(name: str) -> str:
    if name == "operators":
        return overview()
    head = "| parameter | default | meaning |\n|---|---|---|\n"
    if name == "shared":
        return head + "\n".join(rows_of(mergeit_ops.ops.TopicClusterGrouper, shared=True)) + "\n"
    rows = rows_of(operators()[name], shared=False)
    return head + "\n".join(rows) + "\n" if rows else "Only the shared parameters.\n"


def rewritten(text: str) -> str:
    return _BLOCK.sub(lambda match: match[1] + table(match[2]) + match[3], text)


def _spelled(default: object) -> str:
    words = {None: "null", True: "true", False: "false"}
    return words[default] if default is None or isinstance(default, bool) else f"`{default}`"
