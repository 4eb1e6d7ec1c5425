"""The files of a run's records: one per operator, numbered by its place in the recipe and written atomically."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

from loguru import logger

MANIFEST_DIR = "mergeit"

_NUMBER = re.compile(r"(\d+)_")
_SHAPE: Mapping[str, type | tuple[type, ...]] = {
    "operator": str,
    "run": str,
    "figures": dict,
    "parameters": (dict, type(None)),
    "place": (int, type(None)),
    "started": (int, float, type(None)),
}
_REQUIRED = ("operator", "run", "figures")


def claim_file(work_dir: str, record: Mapping[str, Any]) -> Path:
    """Write a record to a new file and return the path.

    The file number is the operator's place in its recipe, from 1; without a place it is the next free number. A file of
    another run is never changed; the new name gets a suffix. A file of the same operator in the same run is replaced,
    because the operator is running again.

    :param work_dir: the run's work dir.
    :param record: the record.
    :raises OSError: if it cannot be written.
    """
    folder = Path(work_dir) / MANIFEST_DIR
    folder.mkdir(parents=True, exist_ok=True)
    place = record["place"]
    text = _text(record)
    for attempt in count(1):
        if place is None:
            path = folder / f"{_highest_number(folder) + attempt:03d}_{record['operator']}.json"
        else:
            suffix = "" if attempt == 1 else f"-{attempt}"
            path = folder / f"{place + 1:03d}_{record['operator']}{suffix}.json"
        if place is not None and path.exists() and _is_of_same_work(path, record):
            _put(path, text, replace=True)
            return path
        with suppress(FileExistsError):
            _put(path, text, replace=False)
            return path
    raise AssertionError("unreachable")


def replace_file(path: Path, record: Mapping[str, Any]) -> None:
    """Replace the record in a file atomically.

    :param path: path from `claim_file`.
    :param record: the record.
    :raises OSError: if it cannot be written; the old record stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _put(path, _text(record), replace=True)


def read_files(work_dir: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the records in a work dir, sorted by the start of their run, each run in recipe order.

    A file that is not a complete record is skipped with a warning. A crash or another program may leave one.

    :param work_dir: the run's work dir.
    """
    found = []
    for path in sorted((Path(work_dir) / MANIFEST_DIR).glob("*.json")):
        record = _read(path)
        if record is not None:
            found.append((_number_of(path), record))
    starts: dict[str, tuple[float, int]] = {}
    for number, record in found:
        # Records of format 1 have no time; their numbers continued from run to run.
        start = (float(record.get("started") or 0.0), number)
        starts[record["run"]] = min(starts.get(record["run"], start), start)

    def order(entry: tuple[int, dict[str, Any]]) -> tuple[Any, ...]:
        number, record = entry
        return *starts[record["run"]], record["run"], number, float(record.get("started") or 0.0)

    return [record for _, record in sorted(found, key=order)]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        _warn_once(path, " ".join(str(error).split()) or type(error).__name__)
        return None
    if not isinstance(record, dict) or any(name not in record for name in _REQUIRED):
        _warn_once(path, "it is not a record of an operator")
        return None
    for name, kind in _SHAPE.items():
        if name in record and (not isinstance(record[name], kind) or isinstance(record[name], bool)):
            _warn_once(path, f"its '{name}' is not of type {'/'.join(_names(kind))}")
            return None
    return record


def _names(kind: type | tuple[type, ...]) -> list[str]:
    return [each.__name__ for each in (kind if isinstance(kind, tuple) else (kind,)) if each is not type(None)]


@lru_cache(maxsize=256)
def _warn_once(path: Path, why: str) -> None:
    logger.warning(f"The file {path} is ignored as a record of the run: {why}.")


def _is_of_same_work(path: Path, record: Mapping[str, Any]) -> bool:
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(there, dict) and all(there.get(name) == record[name] for name in ("run", "place", "operator"))


def _highest_number(folder: Path) -> int:
    return max((_number_of(path) for path in folder.glob("*.json")), default=0)


def _number_of(path: Path) -> int:
    found = _NUMBER.match(path.name)
    return int(found[1]) if found else 0


def _text(record: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(record, ensure_ascii=False, default=str).encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, from a row or a parameter
        return json.dumps(record, default=str).encode("ascii")


def _put(path: Path, content: bytes, replace: bool) -> None:
    """Write a file under another name in its folder and rename it.

    :raises FileExistsError: if the file exists and must not be replaced.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(temporary, path)
            return
        try:
            # Unlike a rename, a link never replaces an existing file.
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if path.exists():
                raise FileExistsError(path) from None
            os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink()
