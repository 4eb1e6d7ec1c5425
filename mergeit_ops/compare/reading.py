"""Reading a set of rows from any supported kind of file into samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from mergeit_ops.core.columns import EMBEDDING, is_content
from mergeit_ops.core.formats import Reading, SampleFormat, resolve_format
from mergeit_ops.core.rows.identity import number_duplicates, sample_digest
from mergeit_ops.core.rows.row_files import unpacked
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.counts import many
from mergeit_ops.errors import DatasetError
from mergeit_ops.runs.export_files import SUFFIXES, export_files, read_rows
from mergeit_ops.runs.inputs import read_input

__all__ = ["RowSet", "read_set", "readings", "short_names"]

_ROWS_FOR_COLUMNS = 1_000


@dataclass
class RowSet:
    """The rows of a file that have text.

    :param path: path of the file or folder.
    :param rows: number of all rows.
    :param samples: the n rows with an instruction and a response.
    :param ids: n row ids: a hash of the texts, and an ordinal for rows with the same texts. A row has the same id in
        every file.
    :param embeddings: n encoded stored embeddings; None: the row has none.
    :param without_text: numbers of the other rows, from 1.
    :param unit: what a row is, in the plural: `rows` or `conversations`.
    """

    path: Path
    rows: int = 0
    samples: list[Sample] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    embeddings: list[str | None] = field(default_factory=list)
    without_text: list[int] = field(default_factory=list)
    unit: str = "rows"

    @property
    def left_out(self) -> int:
        """Return the number of rows without an instruction or a response."""
        return self.rows - len(self.samples)


def read_set(path: Path, layout: Mapping[str, Any] | None = None) -> RowSet:
    """Read a file or a folder.

    :param path: an export of either executor, or a dataset: JSON Lines, JSON, parquet, CSV, TSV, packed or not.
    :param layout: parameters of `resolve_format`; None: the columns tell the format.
    :raises DatasetError: if the file cannot be read, its format is not clear, or no row has text.
    """
    found = RowSet(path)
    digests = []
    rows, layout_of_file = _rows_and_layout(path, layout)
    found.unit = layout_of_file.unit
    for row, reading in _readings(rows, layout_of_file):
        found.rows += 1
        if reading is None:
            found.without_text.append(found.rows)
            continue
        found.samples.append(reading.sample)
        digests.append(sample_digest(reading.sample))
        vector = row.get(EMBEDDING)
        found.embeddings.append(vector if isinstance(vector, str) else None)
    if not found.samples:
        raise DatasetError(f"{path}: none of its {many(found.rows, 'row')} has both an instruction and a response.")
    found.ids = number_duplicates(digests, Counter())
    return found


def readings(path: Path, layout: Mapping[str, Any] | None = None) -> Iterator[tuple[Mapping[str, Any], Reading | None]]:
    """Yield each row of a file or a folder as it is stored, and its reading; None if the row has no text.

    :param path: see `read_set`.
    :param layout: see `read_set`.
    :raises DatasetError: see `read_set`.
    """
    return _readings(*_rows_and_layout(path, layout))


def _rows_and_layout(path: Path, layout: Mapping[str, Any] | None) -> tuple[Iterable[Mapping[str, Any]], SampleFormat]:
    rows = _rows(path)
    head = list(islice(rows, _ROWS_FOR_COLUMNS))
    if not head:
        raise DatasetError(f"{path} has no rows.")
    columns = [name for name in dict.fromkeys(chain.from_iterable(head)) if is_content(name)]
    parameters = {"name": "auto", **(layout or {})}
    try:
        return chain(head, rows), resolve_format(parameters.pop("name"), columns, **parameters)
    except ValueError as error:
        raise DatasetError(f"{path}: {error}.") from error


def _readings(
    rows: Iterable[Mapping[str, Any]], layout: SampleFormat
) -> Iterator[tuple[Mapping[str, Any], Reading | None]]:
    for row in rows:
        reading = layout.read(row)
        asked, answered = reading.sample.instruction.strip(), reading.sample.output.strip()
        # A conversation can lack a question or an answer without being a bad row.
        has_text = reading.problem != "bad_row" and asked and answered
        yield row, reading if has_text else None


def short_names(paths: Sequence[Path]) -> list[str]:
    """Return the shortest names that are unique: the file name, with as many parent folders as needed."""
    parts = [path.absolute().parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(set(parts)):
            return names
    return [str(path) for path in paths]


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if _as_export(path):
        return chain.from_iterable(map(read_rows, export_files(path)))
    return iter(_inputs(path))


def _inputs(path: Path) -> Iterable[dict[str, Any]]:
    return read_input(path).contents()


def _as_export(path: Path) -> bool:
    """Return whether a path is read row by row, like an export. Other files are loaded in Data-Juicer's way."""
    if path.is_dir():
        return any(unpacked(file).suffix in SUFFIXES for file in path.iterdir())
    return unpacked(path).suffix in SUFFIXES
