"""The rows of a dataset as Data-Juicer loads them, with their ids in a run."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mergeit_ops.core.columns import META, ROW_ID, is_content
from mergeit_ops.core.rows import lineage
from mergeit_ops.core.rows.identity import base_id, content_digests, number_duplicates
from mergeit_ops.core.rows.row_files import KINDS, UnreadableFileError, kind_of, open_text, rows_of_file, unpacked
from mergeit_ops.errors import DatasetError
from mergeit_ops.runs.export_files import unreadable

if TYPE_CHECKING:
    from datasets import Dataset

    from mergeit_ops.dataset.tables import RowReader

# Parameters of the loaders of Hugging Face datasets that Data-Juicer accepts, by suffix.
_PARAMETERS: Mapping[str, dict[str, str]] = {".tsv": {"delimiter": "\t"}}

# Orders of files to try if the order of the folder's listing fails.
_ORDERS = 8


class InputRows:
    """The rows of a dataset.

    :param path: path of the dataset.
    :param dataset: its rows.

    `ids` holds the id of each row, in order: the id that it brings, or its digest, with an ordinal if it is not the
    first. `earlier_ids` maps it to the row's id in the lineage of an earlier run, if that differs.
    """

    def __init__(self, path: Path, dataset: Dataset) -> None:
        from mergeit_ops.dataset.tables import iter_tables, python_columns

        self.path = path
        self._dataset = dataset
        self.columns = tuple(name for name in dataset.column_names if is_content(name))
        self.ids: list[str] = []
        self.earlier_ids: dict[str, str] = {}
        self._digests: list[str] = []
        seen: Counter[str] = Counter()
        read = [name for name in dataset.column_names if name in (ROW_ID, META) or is_content(name)]
        for table in iter_tables(dataset, read):
            columns = python_columns(table)
            brought = columns.pop(ROW_ID, None)
            metas = columns.pop(META, None)
            digests = content_digests(columns, table.num_rows)
            ids = number_duplicates(digests if brought is None else map(str, brought), seen)
            self.ids += ids
            self._digests += digests
            for row_id, meta in zip(ids, metas or (), strict=False):
                earlier = meta.get(lineage.ROW_ID) if isinstance(meta, dict) else None
                if earlier and earlier != row_id:
                    self.earlier_ids[row_id] = earlier
        self._number_of = {row_id: number for number, row_id in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, row_id: object) -> bool:
        return row_id in self._number_of

    def number_of(self, row_id: str) -> int | None:
        """Return the number of a row, from 1; None if no row has the id."""
        number = self._number_of.get(row_id)
        return None if number is None else number + 1

    def names_of(self, row_id: str) -> tuple[str, ...]:
        """Return what identifies a row where its id is not known: a hash of its content, the id, and its id in an
        earlier run.

        :param row_id: id of a row of the dataset, or of another row, whose content only an id with its hash tells.
        """
        number = self._number_of.get(row_id)
        digest = base_id(row_id) if number is None else self._digests[number]
        names = (digest, row_id, self.earlier_ids.get(row_id))
        return tuple(dict.fromkeys(name for name in names if name))

    def content(self, row_id: str) -> dict[str, Any]:
        """Return the columns of a row by its id."""
        from mergeit_ops.dataset.tables import python_rows

        (row,) = python_rows(self._reader.slice(self._number_of[row_id], 1))
        return row

    @cached_property
    def _reader(self) -> RowReader:
        from mergeit_ops.dataset.tables import RowReader

        return RowReader(self._dataset, self.columns)

    def contents(self) -> Iterator[dict[str, Any]]:
        """Yield the columns of all rows, in order."""
        from mergeit_ops.dataset.tables import iter_tables, python_rows

        for table in iter_tables(self._dataset, self.columns):
            yield from python_rows(table)


def read_input(*paths: Path) -> InputRows:
    """Read a dataset like Data-Juicer's loader: one type for each column, and nulls for missing values.

    :param paths: each a file of JSON Lines, JSON, CSV, TSV or parquet, compressed or not, or a folder of such files;
        several if the recipe has several sources, in its order.
    :raises DatasetError: if one does not exist or cannot be read, or if a column has types that do not go together.
    """
    import datasets

    sources = [_read(path) for path in paths]
    try:
        dataset = sources[0] if len(sources) == 1 else datasets.concatenate_datasets(sources)
    except (TypeError, ValueError) as error:
        names = " and ".join(map(str, paths))
        raise DatasetError(f"{names} cannot be read together ({' '.join(str(error).split())}).") from error
    return InputRows(paths[0], dataset)


def _read(path: Path) -> Dataset:
    """Read one source.

    The first file decides the types of columns. So the files of a folder are read in the order of its listing, like in
    the loader. If they cannot be read together in this order, the folder is a copy of the original, and other orders
    are tried.
    """
    import datasets

    files, kind, parameters = _files(path)
    datasets.disable_progress_bars()
    problem: Exception | None = None
    for order in _orders(files):
        try:
            return _loaded(order, kind, parameters)
        except (datasets.exceptions.DatasetGenerationError, OSError, ValueError) as error:
            if problem is None:
                problem = error
                # An unreadable row is reported with its line; no order helps.
                for file in files:
                    _check_rows(file)
    cause = problem and (problem.__cause__ or problem)
    raise DatasetError(f"{path} cannot be read ({' '.join(str(cause).split())}).") from problem


def _loaded(files: Sequence[Path], kind: str, parameters: Mapping[str, str]) -> Dataset:
    import datasets

    with tempfile.TemporaryDirectory(prefix="mergeit-verify-") as cache:
        of_suffix: dict[str, list[str]] = {}
        for number, file in enumerate(files):
            suffixes = [suffix.strip(".").lower() for suffix in (unpacked(file).suffix, file.suffix)]
            same = of_suffix.setdefault("_".join(dict.fromkeys(suffixes)) or "rows", [])
            same.append(str(_in_utf_8(file, number, Path(cache))))
        loaded = datasets.load_dataset(kind, data_files=of_suffix, cache_dir=cache, keep_in_memory=True, **parameters)
        return datasets.concatenate_datasets(list(loaded.values()))


def _orders(files: Sequence[Path]) -> Iterator[Sequence[Path]]:
    """Yield the files in the order of the folder's listing, then with each of the first ones by name in front."""
    yield files
    by_name = sorted(files)
    for first in by_name[:_ORDERS] if len(files) > 1 else ():
        yield [first, *(file for file in by_name if file != first)]


def _files(path: Path) -> tuple[list[Path], str, dict[str, str]]:
    if path.is_file():
        files = [path]
    elif path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file() and kind_of(file)]
    else:
        raise DatasetError(f"There is no file or folder {path}.")
    kinds = {kind for file in files if (kind := kind_of(file))}
    if len(kinds) != 1:
        names = ", ".join(KINDS)
        found = "files of more than one kind" if kinds else "no such file"
        raise DatasetError(f"{path}: expected one or more files of one of the kinds {names}, found {found}.")
    return files, kinds.pop(), _PARAMETERS.get(unpacked(min(files)).suffix.lower(), {})


def _in_utf_8(file: Path, number: int, folder: Path) -> Path:
    """Return the file, or a copy in UTF-8 if the loader cannot read its encoding."""
    if kind_of(file) == "parquet":
        return file
    with open_text(file) as text:
        if text.encoding.startswith("utf-8"):
            return file
        copy = folder / f"{number}-{unpacked(file).name}"
        with copy.open("w", encoding="utf-8") as written:
            shutil.copyfileobj(text, written)
    return copy


def _check_rows(file: Path) -> None:
    """Read a file row by row, so that errors have a line number.

    :raises DatasetError: if a row cannot be read; the message gives its number.
    """
    try:
        for _ in rows_of_file(file):
            pass
    except (UnreadableFileError, OSError) as error:
        raise unreadable(file, error) from error
