"""Samples of the user's files: a target to represent, or a benchmark to avoid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from mergeit_ops.core.columns import is_content
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.formats.content import as_text
from mergeit_ops.core.rows.row_files import KINDS, UnreadableFileError, kind_of, open_text, rows_of_file
from mergeit_ops.core.sample import Sample
from mergeit_ops.dataset.tables import python_rows
from mergeit_ops.errors import DatasetError

__all__ = ["FileSample", "read_samples"]

_QUESTIONS = ("question", "problem", "prompt", "query", "instruction", "text", "sentence", "goal", "ctx")
_ANSWERS = ("answer", "solution", "canonical_solution", "target", "response", "output", "completion", "reference")
"""Usual columns of benchmarks; the first that exists is used."""


@dataclass(frozen=True)
class FileSample:
    """A sample, and its place in a file.

    :param file: its file.
    :param number: its line, or its row if rows are not lines; from 1.
    :param sample: the sample.
    """

    file: Path
    number: int
    sample: Sample


def read_samples(path: Path, layout: Mapping[str, Any], *, benchmark: bool = False) -> list[FileSample]:
    """Read the samples of a file or a folder.

    :param path: a file of rows (JSON Lines, JSON, CSV, TSV, parquet, compressed or not) in any sample format, a folder
        of these files, or a file with any other extension and one question per line.
    :param layout: parameters of `resolve_format` to try first. If a file does not have these columns, its format is
        found from its own columns.
    :param benchmark: whether to read also columns with the usual names of benchmarks, such as `question` and `answer`;
        an answer is not needed.
    :raises DatasetError: if the file does not exist or cannot be read.
    """
    try:
        return list(_samples(path, layout, benchmark))
    except UnreadableFileError as error:
        raise DatasetError(error.about(path)) from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not text in UTF-8 ({error.reason} at byte {error.start})") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror or error})") from error


def _samples(path: Path, layout: Mapping[str, Any], benchmark: bool) -> Iterator[FileSample]:
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file() and kind_of(file) and file.name[0] not in "._")
        if not files:
            raise DatasetError(f"the folder {path} holds no file that ends in {', '.join(KINDS)}")
    elif kind_of(path) is None:
        with open_text(path) as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield FileSample(path, number, Sample(line.strip(), "", ""))
        return
    else:
        files = [path]
    rows = [(file, number, row) for file in files for number, row in rows_of_file(file, python_rows)]
    if not benchmark:
        yield from _read(path, rows, layout, benchmark)
        return
    # The files of a folder of benchmarks may have different layouts.
    for file in files:
        yield from _read(file, [row for row in rows if row[0] == file], layout, benchmark)


def _read(
    path: Path, rows: list[tuple[Path, int, dict[str, Any]]], layout: Mapping[str, Any], benchmark: bool
) -> Iterator[FileSample]:
    if rows:
        columns = [name for name in dict.fromkeys(chain.from_iterable(row for _, _, row in rows)) if is_content(name)]
        read = _reader(path, columns, layout, benchmark)
        yield from (FileSample(file, number, read(row)) for file, number, row in rows)


def _reader(
    path: Path, columns: list[str], layout: Mapping[str, Any], benchmark: bool
) -> Callable[[Mapping[str, Any]], Sample]:
    try:
        found = resolve_format(columns=columns, **layout)
    except ValueError:
        try:
            found = resolve_format("auto", columns)
        except ValueError as error:
            question = next((name for name in _QUESTIONS if name in columns), None)
            if not benchmark or question is None:
                raise DatasetError(f"{path}: {error}") from error
            answer = next((name for name in _ANSWERS if name in columns and name != question), None)
            return lambda row: Sample(as_text(row.get(question)), "", as_text(row.get(answer)) if answer else "")
    return lambda row: found.read(row).sample
