"""Write the parameter tables of the README from the operators' docstrings, so that they cannot drift.

`python scripts/parameter_tables.py` rewrites README.md in place; a test runs it and expects no change.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import data_juicer.ops  # noqa: F401  registers the operators

import mergeit_ops.ops

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


def rows_of(operator: type, shared: bool) -> list[str]:
    described = dict(_PARAMETER.findall(inspect.getdoc(operator.__init__) or ""))
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(operator.__init__).parameters.items()
        if parameter.default is not parameter.empty
    }
    return [
        f"| `{name}` | {_spelled(default)} | {' '.join(described[name].split()).replace('|', chr(92) + '|')} |"
        for name, default in defaults.items()
        if (name in SHARED) == shared
    ]


def table(name: str) -> str:
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


if __name__ == "__main__":
    README.write_text(rewritten(README.read_text(encoding="utf-8")), encoding="utf-8")
