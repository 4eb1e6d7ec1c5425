"""The rows of the user's benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mergeit_ops.dataset.sample_files import read_samples
from mergeit_ops.errors import DatasetError

__all__ = ["BenchmarkRow", "read_benchmarks"]


@dataclass(frozen=True)
class BenchmarkRow:
    """A row of a benchmark.

    :param file: name of its file; the whole path if two files have the same name.
    :param number: its line, or its row if rows are not lines; from 1.
    :param question: the instruction and the input; all user turns of a conversation.
    :param answer: the answer; empty if there is none.
    """

    file: str
    number: int
    question: str
    answer: str

    @property
    def source(self) -> str:
        """Return the file and the place of the row."""
        return f"{self.file}:{self.number}"


def read_benchmarks(paths: Sequence[Path], layout: Mapping[str, Any]) -> tuple[list[BenchmarkRow], int]:
    """Read benchmarks.

    :param paths: see `read_samples`.
    :param layout: see `read_samples`.
    :return: the rows that have a question or an answer, and the number of those that have neither.
    :raises DatasetError: if a file does not exist, cannot be read, or has no text.
    """
    found = []
    for path in paths:
        samples = read_samples(path, layout, benchmark=True)
        if not any(each.sample.query.strip() or each.sample.output.strip() for each in samples):
            raise DatasetError(f"{path} has no texts that can be read")
        found += samples
    files = {each.file for each in found}
    names = [file.name for file in files]
    called = {file: file.name if names.count(file.name) == 1 else str(file) for file in files}
    rows = [BenchmarkRow(called[each.file], each.number, each.sample.query, each.sample.output) for each in found]
    kept = [row for row in rows if row.question.strip() or row.answer.strip()]
    return kept, len(rows) - len(kept)
