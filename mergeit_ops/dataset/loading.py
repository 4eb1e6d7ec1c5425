"""Rows and values that Data-Juicer's loader dropped or changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import pyarrow as pa
from datasets import Dataset

from mergeit_ops.core.columns import SYSTEM_PREFIX
from mergeit_ops.core.rows.row_files import UnreadableFileError, kind_of, rows_of_file, unpacked
from mergeit_ops.dataset.recipe import Recipe

_JSON_SUFFIXES = (".json", ".jsonl")

_FIRST_ROWS = 20
"""Number of rows of each file that are read to find the types of its columns."""

_FIRST_FILES = 200
_SMALL_FILE = 2**24

_PYTHON: Mapping[str, type | tuple[type, ...]] = {"texts": str, "numbers": (int, float), "booleans": bool}


def rows_in_files(dataset: Dataset, recipe: Recipe) -> int | None:
    """Return the number of rows in the files of a run, as the loader counted them.

    :param dataset: the dataset loaded from them, in any state before our operators.
    :param recipe: of the run.
    :return: None if it is unknown, or if the loader read only some of the rows.
    """
    config = recipe.config
    mixture = getattr(config, "dataset", None)
    if mixture and not getattr(config, "dataset_path", None):
        sources = mixture.get("configs") or []
        if len(sources) != 1 or mixture.get("max_sample_num") or sources[0].get("limit") is not None:
            return None
    if getattr(config, "use_checkpoint", False):
        return None
    splits = dataset.info.splits
    if not splits:
        return None
    if dataset.split is None:
        return sum(int(split.num_examples) for split in splits.values())
    return int(splits[dataset.split].num_examples) if dataset.split in splits else None


def dropped_rows(rows: int, found: int, recipe: Recipe) -> str | None:
    """Return a warning about rows of the files that are not in the dataset; None if there are none.

    :param rows: in the dataset.
    :param found: in the files.
    :param recipe: of the run.
    """
    if rows >= found:
        return None
    keys = ", ".join(recipe.text_keys) or "text"
    text = (
        f"Data-Juicer's loader dropped {found - rows:,} of {found:,} rows because they are null in a column of "
        f"text_keys ({keys})"
    )
    if suffix_of_files(recipe) in (".csv", ".tsv"):
        return (
            f"{text}. In CSV files it also reads None, NA, N/A, null and nan as null. To keep them as text, add "
            "load_dataset_kwargs: {keep_default_na: false} to the recipe."
        )
    return f"{text}. To keep the rows, remove the column from text_keys."


def dates_of_texts(schema: pa.Schema, recipe: Recipe) -> list[str]:
    """Return the columns whose texts the loader turned into timestamps. JSON has no timestamps.

    :param schema: of the dataset.
    :param recipe: of the run.
    """
    if suffix_of_files(recipe) not in _JSON_SUFFIXES:
        return []
    return [field.name for field in schema if not field.name.startswith(SYSTEM_PREFIX) and _holds_dates(field.type)]


def changed_types(schema: pa.Schema, recipe: Recipe) -> Mapping[str, tuple[str, Path]]:
    """Return the columns in which the loader changed values because files hold different types.

    The loader gives a column one type. If one file has texts in it and another has numbers, either all values become
    texts, or texts such as "7" become numbers. This depends on the order of the files.

    :param schema: of the dataset.
    :param recipe: of the run.
    :return: for each column, what all values became (`texts`, `numbers`, `booleans`), and a file with other values.
    """
    became = {field.name: name for field in schema if (name := _plain_type(field.type)) is not None}
    files = [file for file in islice(_files(recipe), _FIRST_FILES) if _has_quick_rows(file)]
    found: dict[str, tuple[str, Path]] = {}
    for file in files if len(files) > 1 else ():
        try:
            for _, row in islice(rows_of_file(file), _FIRST_ROWS):
                for name, value in row.items():
                    if name in became and value is not None and not isinstance(value, _PYTHON[became[name]]):
                        found.setdefault(name, (became[name], file))
        except (OSError, UnreadableFileError):
            continue
    return found


def _has_quick_rows(file: Path) -> bool:
    """Return whether the first rows of a file can be read without the others; a JSON array must be read completely."""
    if kind_of(file) not in ("json", "parquet"):
        return False
    try:
        return file.suffix.lower() in (".jsonl", ".parquet") or file.stat().st_size < _SMALL_FILE
    except OSError:
        return False


def _plain_type(kind: pa.DataType) -> str | None:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "texts"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "numbers"
    return "booleans" if pa.types.is_boolean(kind) else None


def columns_of_sources(recipe: Recipe) -> dict[str, list[str]]:
    """Return the columns of the first rows of each source that a run reads.

    A source whose rows cannot be read quickly is left out.

    :param recipe: of the run.
    :return: maps the path of a source, as the recipe has it, to its columns.
    """
    found: dict[str, dict[str, None]] = {}
    for source, file in islice(_sources(recipe), _FIRST_FILES):
        if kind_of(file) is None or (file.suffix.lower() == ".json" and not _has_quick_rows(file)):
            continue
        try:
            for _, row in islice(rows_of_file(file), _FIRST_ROWS):
                found.setdefault(source, {}).update(dict.fromkeys(row))
        except (OSError, UnreadableFileError):
            continue
    return {source: list(columns) for source, columns in found.items()}


def suffix_of_files(recipe: Recipe) -> str | None:
    """Return the suffix of the files that a run reads, without the suffix of a compression; None if it is unknown."""
    known = (*_JSON_SUFFIXES, ".csv", ".tsv", ".parquet")
    suffixes = (unpacked(file).suffix.lower() for file in _files(recipe))
    return next((suffix for suffix in suffixes if suffix in known), None)


def _files(recipe: Recipe) -> Iterator[Path]:
    """Yield the local files that a run reads."""
    yield from (file for _, file in _sources(recipe))


def _sources(recipe: Recipe) -> Iterator[tuple[str, Path]]:
    """Yield the local files that a run reads, each with the path of its source."""
    path = getattr(recipe.config, "dataset_path", None)
    sources = [{"path": path}] if path else (getattr(recipe.config, "dataset", None) or {}).get("configs") or []
    for source in sources:
        path = source.get("path")
        if not isinstance(path, str) or not Path(path).exists():
            continue
        files = [Path(path)] if Path(path).is_file() else filter(Path.is_file, sorted(Path(path).rglob("*")))
        yield from ((path, file) for file in files)


def _holds_dates(kind: pa.DataType) -> bool:
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return True
    return any(_holds_dates(kind.field(number).type) for number in range(kind.num_fields))
