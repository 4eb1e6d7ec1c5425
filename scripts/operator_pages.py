"""Write one page for each operator, and the table of all operators, from docstrings and examples.

`python -m scripts.operator_pages` (or `make docs`) rewrites the pages. A test checks that they are up to date.
"""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from mergeit_ops.ops.parameters import declared_parameters
from mergeit_ops.ops.sample_operator import SampleOperator
from scripts import operator_examples, parameter_tables
from scripts.operator_examples import EXAMPLES, Example

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = REPOSITORY / "docs" / "operators"
INDEX = REPOSITORY / "docs" / "README.md"

_TAKES = {"samples": "flat rows", "topics": "topics", "either": "topics, or flat rows"}
_GIVES = {
    "samples": "flat rows",
    "topics": "topics: a row each, every column the list of its samples' values",
    "either": "smaller topics, or fewer flat rows",
}
_HEAD = "<!-- Made by `make docs` from docstrings and scripts/operator_examples.py: change those, not this page. -->"
_TABLE = re.compile(r"(<!-- operators -->\n).*?(<!-- end -->)", re.DOTALL)
_TYPE = re.compile(r"Optional\[(.+)\]")


def pages() -> dict[str, str]:
    """Run all examples, and return the page of each operator by its registry name."""
    return {name: page(name) for name in parameter_tables.operators()}


def page(name: str) -> str:
    """Return the page of one operator."""
    operator = parameter_tables.operators()[name]
    modes = ", ".join(f"`{mode}`" for mode in operator._supported_exec_modes)
    parts = [
        _HEAD,
        f"# {name}",
        inspect.getdoc(operator) or "",
        f"| | |\n|---|---|\n| kind | {name.rsplit('_', 1)[-1]} |\n"
        f"| takes | {_TAKES[operator.takes]} |\n| gives | {_given(operator)} |\n| `executor_type` | {modes} |",
        "## Parameters",
        *_preface(operator),
        "\n".join(_parameters(operator)),
        "Data-Juicer's own parameters, such as `accelerator` and `num_proc`, and on Ray `num_gpus` and `runtime_env`, "
        "work as in other operators. `skip_op_error` has no effect: an error stops the run instead of dropping rows.",
        "## Examples" if len(EXAMPLES[name]) > 1 else "## Example",
        "The operator made the rows below. Empty metadata and stats are left out, their numbers are rounded, parents "
        "are shown without metadata, and a long text ends in `…`.",
        *(part for example in EXAMPLES[name] for part in _example(name, example)),
        "## See also",
        "\n".join(_links(name)),
    ]
    return "\n\n".join(parts) + "\n"


def _given(operator: type[SampleOperator]) -> str:
    return f"{'fewer ' if operator.may_drop and operator.gives == 'samples' else ''}{_GIVES[operator.gives]}"


def _preface(operator: type) -> Iterator[str]:
    """Yield the text of the docstring of `__init__` before its parameters."""
    text = (inspect.getdoc(operator.__init__) or "").split(":param")[0]
    yield from (part for part in text.strip().split("\n\n") if part and part != "Initialization method.")


def _parameters(operator: type) -> Iterator[str]:
    yield "| parameter | type | default | may be | meaning |"
    yield "|---|---|---|---|---|"
    declared = declared_parameters(operator)
    for name, default, meaning in parameter_tables.described(operator):
        annotation = declared[name].annotation
        spelled = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        kind = _TYPE.sub(r"\1", spelled).replace("dict[str, Any]", "dict")
        allowed = str(operator._constraints.get(name, "")).replace("|", r"\|")
        yield f"| `{name}` | {kind} | {default} | {allowed} | {meaning} |"


def _example(name: str, example: Example) -> Iterator[str]:
    shown = operator_examples.run(name, example)
    yield f"### {example.words}"
    recipe = [{name: dict(example.parameters)}] if example.parameters else [{name: {}}]
    yield _block("yaml", textwrap.indent(yaml.safe_dump(recipe, sort_keys=False).strip(), "  "))
    yield f"Before, {_counted(shown.before)}:"
    yield _block("json", _json_lines(shown.before))
    yield f"After, {_counted(shown.after)}:"
    yield _block("json", _json_lines(shown.after))
    yield example.explanation


def _counted(rows: list[dict]) -> str:
    what = "topic" if rows and "__dj__batch_meta__" in rows[0] else "row"
    return f"{len(rows)} {what}{'' if len(rows) == 1 else 's'}"


def _json_lines(rows: Iterable[dict]) -> str:
    return "\n".join(_json_row(row) for row in rows)


def _json_row(row: dict) -> str:
    """Return a row as JSON with one line for each column and for each key of its metadata."""
    lines = []
    for name, value in row.items():
        if isinstance(value, dict) and value:
            inner = ",\n".join(f"    {_json(key)}: {_json(part)}" for key, part in value.items())
            lines.append(f"  {_json(name)}: {{\n{inner}\n  }}")
        elif isinstance(value, list) and len(_json(value)) > 100:
            inner = ",\n".join(f"    {_json(part)}" for part in value)
            lines.append(f"  {_json(name)}: [\n{inner}\n  ]")
        else:
            lines.append(f"  {_json(name)}: {_json(value)}")
    return "{\n" + ",\n".join(lines) + "\n}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _block(language: str, text: str) -> str:
    # The text of a row can contain a fence of three backticks.
    return f"````{language}\n{text}\n````"


def _links(name: str) -> Iterator[str]:
    up = "../.."
    yield f"- [Source](../../mergeit_ops/ops/{name}.py), [test]({up}/tests/ops/test_{name}.py)"
    recipes = [
        path
        for path in sorted((REPOSITORY / "recipes").rglob("*.yaml"))
        if any(name in entry for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["process"])
    ]
    if recipes:
        yield "- Recipes: " + ", ".join(
            f"[{path.stem}]({up}/{path.relative_to(REPOSITORY).as_posix()})" for path in recipes
        )
    others = [other for other in parameter_tables.operators() if other != name]
    yield "- Other operators: " + ", ".join(f"[{other}]({other}.md)" for other in others)
    yield "- [All documentation](../README.md)"


def index(text: str) -> str:
    """Return the index of the documentation with a new table of operators."""
    return _TABLE.sub(lambda match: match[1] + parameter_tables.overview() + match[2], text)


def main() -> None:
    """Write the pages and the table."""
    INDEX.write_text(index(INDEX.read_text(encoding="utf-8")), encoding="utf-8")
    PAGES.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (PAGES / f"{name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
