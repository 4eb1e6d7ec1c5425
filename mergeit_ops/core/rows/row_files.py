"""Read the rows of a file like Data-Juicer's loader.

Files may be JSON Lines, JSON, CSV, TSV or parquet, compressed with gzip or Zstandard or not, in UTF-8 or in UTF-16 with
a byte order mark, with blank lines and any line endings. JSON may be one object per line, an array, or objects over
several lines, whatever the file's suffix is.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["KINDS", "PACKED", "UnreadableFileError", "kind_of", "open_text", "rows_of_file", "unpacked"]

KINDS: Mapping[str, str] = {".jsonl": "json", ".json": "json", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
"""The kind of a file, by its suffix."""

PACKED = (".gz", ".zst")

_GZIP, _ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_ROWS_AT_ONCE = 2_000


class UnreadableFileError(ValueError):
    """A file, or a row of it, cannot be read.

    :param reason: why the row is not a JSON object, or what is wrong with the file, as the rest of a sentence about it.
    :param where: `line 3` or `row 3`; empty for the file as a whole.
    :param is_json: whether the line is JSON at all.
    """

    def __init__(self, reason: str, where: str = "", is_json: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.where = where
        self.is_json = is_json

    def about(self, path: Path) -> str:
        """Return the sentence about a file, without its full stop."""
        if self.where:
            return f"{path}, {self.where}, is not a JSON object ({self.reason})"
        return f"{path} {self.reason}"


def kind_of(path: Path) -> str | None:
    """Return `json`, `csv` or `parquet` by a file's name, compressed or not; None for other names."""
    return KINDS.get(unpacked(path).suffix.lower())


def unpacked(path: Path) -> Path:
    """Return the path without the suffix of its compression."""
    return path.with_suffix("") if path.suffix.lower() in PACKED else path


def rows_of_file(
    path: Path, rows_of_table: Callable[[pa.Table], list[dict[str, Any]]] | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows of a file, each with its number from 1: the line number if a row is a line, otherwise the row
    number.

    :param path: the file; a file with another suffix is read as JSON.
    :param rows_of_table: function that turns a table of a parquet file into rows; None: Arrow's own conversion.
    :raises UnreadableFileError: if the file, or a row, cannot be read.
    :raises OSError: if the file does not exist.
    """
    kind = kind_of(path) or "json"
    if kind == "parquet":
        yield from enumerate(_parquet_rows(path, rows_of_table), start=1)
        return
    try:
        # A line end inside a CSV field is part of the field.
        with open_text(path, newline="" if kind == "csv" else None) as file:
            suffix = unpacked(path).suffix.lower()
            yield from _csv_rows(file, suffix) if kind == "csv" else _json_rows(file, one_a_line=suffix == ".jsonl")
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"is not text in UTF-8 ({error.reason} at byte {error.start})") from error
    except (OSError, EOFError, zlib.error) as error:
        if getattr(error, "errno", None) is not None:  # an error of the system, such as a missing file
            raise
        raise UnreadableFileError(f"cannot be unpacked ({error})") from error


def open_text(path: Path, newline: str | None = None) -> io.TextIOWrapper:
    """Open a text file, compressed or not, in the encoding that its first bytes show.

    :param path: the file.
    :param newline: as in `open`. The default accepts all line endings, and treats U+2028 and similar characters as
        text.
    """
    with path.open("rb") as file:
        first = file.read(4)
    stream: Any
    if first.startswith(_GZIP):
        stream = gzip.GzipFile(path)
    elif first == _ZSTANDARD:
        import pyarrow as pa

        stream = pa.input_stream(str(path), compression="zstd")
    else:
        stream = io.FileIO(path)
    buffered = io.BufferedReader(stream)
    encoding = "utf-16" if buffered.peek(2)[:2] in _UTF_16 else "utf-8-sig"
    return io.TextIOWrapper(buffered, encoding=encoding, newline=newline)


def _json_rows(file: IO[str], one_a_line: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    lines = ((number, line) for number, line in enumerate(file, start=1) if line.strip())
    number, line = next(lines, (0, ""))
    if not number:
        return
    if line.lstrip().startswith("["):
        yield from _array_rows(line + file.read(), number, one_a_line)
        return
    try:
        rows = _objects_in(line, number)
    except UnreadableFileError:
        rest = file.read()
        whole = _objects_over_lines(line + rest)
        if whole is None:
            # There is one object per line, and the first one cannot be read.
            raise
        yield from enumerate(whole, start=1)
        return
    yield from rows
    for number, line in lines:
        yield from _objects_in(line, number)


def _objects_in(line: str, number: int) -> list[tuple[int, dict[str, Any]]]:
    try:
        values = [json.loads(line)]
    except json.JSONDecodeError as error:
        values = _documents(line) or []
        if not values:
            reason = f"{error.msg} at character {error.pos + 1}"
            raise UnreadableFileError(reason, f"line {number}") from error
    for value in values:
        if not isinstance(value, dict):
            raise UnreadableFileError(f"it is {_json_name(value)}", f"line {number}", is_json=True)
    return [(number, value) for value in values]


def _objects_over_lines(text: str) -> list[dict[str, Any]] | None:
    values = _documents(text)
    return values if values and all(isinstance(value, dict) for value in values) else None


def _documents(text: str) -> list[Any] | None:
    """Return the JSON values of a text that is a sequence of them; None if it is not."""
    decoder, place, found = json.JSONDecoder(), 0, []
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        try:
            value, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError:
            return None
        found.append(value)
    return found


def _array_rows(text: str, first_line: int, one_a_line: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        line = error.lineno + first_line - 1
        raise UnreadableFileError(error.msg, f"line {line}") from error
    for number, value in enumerate(values, start=1):
        if not isinstance(value, dict):
            where = f"line {first_line}" if one_a_line else f"row {number}"
            raise UnreadableFileError(f"it is {_json_name(value)}", where, is_json=True)
        yield number, value


def _csv_rows(file: IO[str], suffix: str) -> Iterator[tuple[int, dict[str, Any]]]:
    import pandas as pd

    try:
        tables = pd.read_csv(file, sep="\t" if suffix == ".tsv" else ",", chunksize=_ROWS_AT_ONCE)
        number = 0
        for table in tables:
            for row in table.to_dict("records"):
                number += 1
                yield number, {str(name): None if _is_missing(value) else value for name, value in row.items()}
    except pd.errors.EmptyDataError:
        return
    except pd.errors.ParserError as error:
        raise UnreadableFileError(f"cannot be read as CSV ({' '.join(str(error).split())})") from error


def _is_missing(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _parquet_rows(
    path: Path, rows_of_table: Callable[[pa.Table], list[dict[str, Any]]] | None
) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE):
                table = pa.Table.from_batches([batch])
                yield from table.to_pylist() if rows_of_table is None else rows_of_table(table)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise UnreadableFileError(f"cannot be read as parquet ({error})") from error


def _json_name(value: Any) -> str:
    names = {list: "an array", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
