"""The texts of a target: rows of a file of the user's, or its lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from mergeit_ops.core.columns import is_content
from mergeit_ops.core.formats import SampleFormat, resolve_format
from mergeit_ops.core.rows.row_files import KINDS, UnreadableFileError, kind_of, open_text, rows_of_file
from mergeit_ops.dataset.tables import python_rows
from mergeit_ops.errors import DatasetError

__all__ = ["read_target"]


def read_target(path: Path, layout: Mapping[str, Any]) -> tuple[list[str], int]:
    """Read the texts of a target: of rows the instruction and the input, of a conversation all user turns.

    :param path: a file of rows (JSON Lines, JSON, CSV, TSV, parquet, compressed or not) in any sample format, a folder
        of such files, or a file of any other name with one text per line.
    :param layout: parameters of `resolve_format` that are tried first; if the file does not have these columns, its
        format is told from those it has.
    :return: the texts that are not blank, and the number of rows without one.
    :raises DatasetError: if there is no such file, it cannot be read, or it has no text.
    """
    try:
        texts = list(_texts(path, layout))
    except UnreadableFileError as error:
        raise DatasetError(error.about(path)) from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not text in UTF-8 ({error.reason} at byte {error.start})") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror or error})") from error
    found = [text for text in texts if text.strip()]
    if not found:
        what = f"none of its {len(texts):,} rows has a text that can be read" if texts else "it is empty"
        raise DatasetError(f"{path} has no texts: {what}")
    return found, len(texts) - len(found)


def _texts(path: Path, layout: Mapping[str, Any]) -> Iterator[str]:
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file() and kind_of(file) and file.name[0] not in "._")
        if not files:
            raise DatasetError(f"the folder {path} holds no file that ends in {', '.join(KINDS)}")
    elif kind_of(path) is None:
        with open_text(path) as file:
            yield from (line.strip() for line in file if line.strip())
        return
    else:
        files = [path]
    rows = [row for file in files for _, row in rows_of_file(file, python_rows)]
    if rows:
        columns = [name for name in dict.fromkeys(chain.from_iterable(rows)) if is_content(name)]
        read = _layout(path, columns, layout).read
        yield from (read(row).sample.query for row in rows)


def _layout(path: Path, columns: list[str], layout: Mapping[str, Any]) -> SampleFormat:
    try:
        return resolve_format(columns=columns, **layout)
    except ValueError:
        pass
    try:
        return resolve_format("auto", columns)
    except ValueError as error:
        raise DatasetError(f"{path}: {error}") from error
