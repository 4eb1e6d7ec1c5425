"""Rows and values that Data-Juicer's loader dropped or changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from mergeit_ops.core.columns import SYSTEM_PREFIX
from mergeit_ops.dataset.recipe import Recipe

_JSON_SUFFIXES = (".json", ".jsonl")


def rows_in_files(dataset: Any, recipe: Recipe) -> int | None:
    """Return the number of rows in the files of a run, as the loader counted them.

    :param dataset: the dataset that was loaded from them, in any later state before our operators.
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
    """Return a warning about rows that are in the files but not in the dataset; None if there are none.

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
    """Return the columns whose texts the loader turned into timestamps; JSON itself has no timestamps.

    :param schema: of the dataset.
    :param recipe: of the run.
    """
    if suffix_of_files(recipe) not in _JSON_SUFFIXES:
        return []
    return [field.name for field in schema if not field.name.startswith(SYSTEM_PREFIX) and _holds_dates(field.type)]


def suffix_of_files(recipe: Recipe) -> str | None:
    """Return the suffix of the files that a run reads, without that of a compression; None if it is unknown."""
    path = getattr(recipe.config, "dataset_path", None)
    if not path:
        sources = (getattr(recipe.config, "dataset", None) or {}).get("configs") or [{}]
        path = sources[0].get("path")
    if not isinstance(path, str) or not Path(path).exists():
        return None
    files = [Path(path)] if Path(path).is_file() else (file for file in Path(path).rglob("*") if file.is_file())
    for file in files:
        suffixes = [suffix.lower() for suffix in file.suffixes if suffix.lower() not in (".gz", ".zst")]
        if suffixes and suffixes[-1] in (*_JSON_SUFFIXES, ".csv", ".tsv", ".parquet"):
            return suffixes[-1]
    return None


def _holds_dates(kind: pa.DataType) -> bool:
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return True
    return any(_holds_dates(kind.field(number).type) for number in range(kind.num_fields))
