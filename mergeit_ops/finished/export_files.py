"""The files of an export and the rows in them, as Data-Juicer's executors write them.

The default executor writes one file, or shards (`export_shard_size`), and beside them `<name>_stats.jsonl` with the
metadata and stats of every row; a `.json` of it is one array. Ray writes a folder of part files; a `.json` of it is
JSON Lines. On Ray metadata stay in the export whatever `keep_stats_in_res_ds` says, unless the dataset brought some:
then `false` leaves none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mergeit_ops.core.columns import META, STATS
from mergeit_ops.errors import DatasetError

SUFFIXES = (".jsonl", ".json", ".parquet")

_SHARD = re.compile(r"(?P<name>.+)-(?P<number>\d+)-of-(?P<count>\d+)")
_BATCH_ROWS = 2_000


def export_files(export: Path) -> list[Path]:
    """Return the files of an export, in the order of their rows.

    :param export: a file, one of several shards or the path that the recipe names for them, or a folder of Ray.
    :raises DatasetError: if there is no such export, or a part of it is missing.
    """
    if export.is_dir():
        return _files_of_folder(export)
    if export.suffix not in SUFFIXES:
        raise DatasetError(
            f"{export} is no export: its name must end in {', '.join(SUFFIXES)}, or it must be the folder that a run "
            "on Ray has written."
        )
    if export.is_file() and named_export(export) == export:
        return [export]
    shards = _shards(named_export(export))
    if not shards:
        raise DatasetError(f"There is no file or folder {export}.")
    return shards


def named_export(export: Path) -> Path:
    """Return the path that the recipe names for an export.

    :param export: that path, or one of the shards that Data-Juicer has written in its place.
    """
    shard = _SHARD.fullmatch(export.stem)
    return export.with_name(shard["name"] + export.suffix) if shard else export


def stats_file(export: Path) -> Path | None:
    """Return the file of metadata and stats that the default executor has left beside an export, if it is there.

    :param export: the path that the recipe names.
    """
    if export.is_dir():
        return None
    # Data-Juicer replaces the suffix wherever it stands in the path, in the name of a folder too.
    written = Path(str(export.absolute()).replace(export.suffix, "_stats.jsonl"))
    return next((path for path in (export.with_name(f"{export.stem}_stats.jsonl"), written) if path.is_file()), None)


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of one file as they are stored, metadata and stats parsed where they are text.

    :param path: JSON Lines, a JSON array, or parquet.
    :raises DatasetError: if a row cannot be read; the message tells which, counted from 1.
    """
    rows = _parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path)
    for number, row in enumerate(rows, start=1):
        for name in (META, STATS):
            if isinstance(row.get(name), str):
                row[name] = _parsed(row[name], f"{path}, row {number}, column {name}")
            if not isinstance(row.get(name), (Mapping, type(None))):
                raise DatasetError(f"{path}, row {number}, column {name}: a mapping was expected, got {row[name]!r}.")
        yield row


def _files_of_folder(folder: Path) -> list[Path]:
    files = sorted(
        path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file() and path.name[0] not in "._"
    )
    if not files:
        raise DatasetError(f"The folder {folder} holds no file that ends in {', '.join(SUFFIXES)}.")
    beside = [path for path in files if path.name.endswith("_stats.jsonl")]
    if beside:
        raise DatasetError(
            f"The folder {folder} is no export of a run on Ray ({beside[0].name} is of the default executor); name the "
            "exported file itself."
        )
    return files


def _shards(export: Path) -> list[Path]:
    name = export.name.split(".")[0]
    if not export.parent.is_dir():
        return []
    found: dict[int, dict[int, Path]] = {}
    for path in export.parent.glob(f"*{export.suffix}"):
        shard = _SHARD.fullmatch(path.stem)
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


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    import jsonlines

    try:
        if _is_array(path):
            yield from _checked(json.loads(path.read_text(encoding="utf-8")), path)
            return
        with jsonlines.open(path, loads=json.loads) as lines:
            yield from lines.iter(type=dict)
    except jsonlines.InvalidLineError as error:
        raise DatasetError(f"{path}, line {error.lineno}, is no JSON object ({_reason(error)}).") from error
    except json.JSONDecodeError as error:
        raise DatasetError(f"{path} is no JSON: {error}.") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not text in UTF-8 ({error}).") from error


def _reason(error: Exception) -> str:
    return str(error).split(" (line")[0]


def _is_array(path: Path) -> bool:
    with path.open("rb") as file:
        return path.suffix == ".json" and file.read(64).lstrip().startswith(b"[")


def _checked(rows: Iterable[Any], path: Path) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise DatasetError(f"{path}, row {number}, is no JSON object but a {type(row).__name__}.")
        yield row


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from mergeit_ops.dataset.tables import python_rows

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH_ROWS):
                yield from python_rows(pa.Table.from_batches([batch]))
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetError(f"{path} cannot be read as parquet ({error}).") from error


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DatasetError(f"{where}: the text is no JSON ({error}).") from error
