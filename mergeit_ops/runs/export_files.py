"""The files of an export and their rows, as Data-Juicer's executors write them.

The default executor writes one file, or shards (`export_shard_size`), and beside them `<name>_stats.jsonl` with the
metadata and stats of every row; its `.json` files are one array. Ray writes a folder of part files; its `.json` files
are JSON Lines. On Ray, metadata stay in the export whatever `keep_stats_in_res_ds` says, unless the dataset brought
some; then `false` removes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mergeit_ops.core.columns import META, STATS
from mergeit_ops.core.rows.row_files import PACKED, UnreadableFileError, rows_of_file, unpacked
from mergeit_ops.dataset.dry_run import marked
from mergeit_ops.errors import DatasetError

SUFFIXES = (".jsonl", ".json", ".parquet")
"""Suffixes of the export files that can be read; each file may also be compressed."""

_SHARD = re.compile(r"(?P<name>.+)-(?P<number>\d+)-of-(?P<count>\d+)")


def export_files(export: Path) -> list[Path]:
    """Return the files of an export, in the order of their rows.

    :param export: a file; one of several shards, or the path that the recipe names for them; or a folder from Ray.
    :raises DatasetError: if the export does not exist, or a part of it is missing.
    """
    if export.is_dir():
        return _files_of_folder(export)
    if unpacked(export).suffix not in SUFFIXES:
        raise DatasetError(
            f"{export} is not an export: its name must end in {', '.join(SUFFIXES)}, or it must be the folder that a "
            "run on Ray has written."
        )
    if export.is_file() and named_export(export) == export:
        return [export]
    shards = _shards(named_export(export))
    if not shards:
        raise DatasetError(f"There is no file or folder {export}.{_of_a_dry_run(export)}")
    return shards


def _of_a_dry_run(export: Path) -> str:
    """Return a hint for those who have only tried the recipe, or nothing."""
    path = Path(marked(str(export)))
    return f" A dry run has written {path.name} beside it; run the recipe without dry_run." if path.exists() else ""


def named_export(export: Path) -> Path:
    """Return the path that the recipe names for an export.

    :param export: that path, or one of the shards that Data-Juicer has written instead.
    """
    shard = _SHARD.fullmatch(unpacked(export).stem)
    suffixes = export.name.removeprefix(unpacked(export).stem)
    return export.with_name(shard["name"] + suffixes) if shard else export


def stats_file(export: Path) -> Path | None:
    """Return the file of metadata and stats that the default executor writes beside an export; None if there is none.

    :param export: the path that the recipe names.
    """
    if export.is_dir():
        return None
    export = unpacked(export)
    # Data-Juicer replaces the suffix wherever it occurs in the path, even in the name of a folder.
    written = Path(str(export.absolute()).replace(export.suffix, "_stats.jsonl"))
    places = (export.with_name(f"{export.stem}_stats.jsonl"), written)
    packed = (path.with_name(path.name + suffix) for path in places for suffix in PACKED)
    return next((path for path in (*places, *packed) if path.is_file()), None)


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of one file as they are stored, with metadata and stats parsed if they are text.

    :param path: JSON Lines, JSON, CSV, TSV or parquet, compressed or not.
    :raises DatasetError: if a row cannot be read; the message gives its number, from 1.
    """
    from mergeit_ops.dataset.tables import python_rows

    rows = rows_of_file(path, python_rows)
    while True:
        try:
            number, row = next(rows)
        except StopIteration:
            return
        except (UnreadableFileError, OSError) as error:
            raise unreadable(path, error) from error
        for name in (META, STATS):
            if isinstance(row.get(name), str):
                row[name] = _parsed(row[name], f"{path}, row {number}, column {name}")
            if not isinstance(row.get(name), (Mapping, type(None))):
                raise DatasetError(f"{path}, row {number}, column {name}: a mapping was expected, got {row[name]!r}.")
        yield row


def unreadable(path: Path, error: UnreadableFileError | OSError) -> DatasetError:
    """Return the error for a file that cannot be read, as a sentence."""
    if isinstance(error, OSError):
        return DatasetError(f"{path} cannot be read ({error.strerror or error}).")
    return DatasetError(f"{error.about(path)}.")


def _files_of_folder(folder: Path) -> list[Path]:
    files = sorted(
        path
        for path in folder.iterdir()
        if unpacked(path).suffix in SUFFIXES and path.is_file() and path.name[0] not in "._"
    )
    if not files:
        raise DatasetError(f"The folder {folder} holds no file that ends in {', '.join(SUFFIXES)}.")
    beside = [path for path in files if unpacked(path).name.endswith("_stats.jsonl")]
    if beside:
        raise DatasetError(
            f"The folder {folder} is not an export of a run on Ray ({beside[0].name} is of the default executor); name "
            "the exported file itself."
        )
    return files


def _shards(export: Path) -> list[Path]:
    name = export.name.split(".")[0]
    if not export.parent.is_dir():
        return []
    found: dict[int, dict[int, Path]] = {}
    for path in export.parent.glob(f"*{export.suffix}"):
        shard = _SHARD.fullmatch(unpacked(path).stem)
        if shard and shard["name"] == name:
            found.setdefault(int(shard["count"]), {})[int(shard["number"])] = path
    if len(found) > 1:
        counts = " and ".join(map(str, sorted(found)))
        raise DatasetError(
            f"{export}: there are shards of more than one run ({counts} of them); remove the older ones."
        )
    for count, shards in found.items():
        missing = sorted(set(range(count)) - set(shards))
        if missing:
            raise DatasetError(f"{export}: of its {count} shards, number {missing[0]:02d} is missing.")
        return [shards[number] for number in range(count)]
    return []


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DatasetError(f"{where}: the text is not JSON ({error}).") from error
