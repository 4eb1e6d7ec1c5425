"""The file of results, JSON Lines: one line that describes the experiment, then one for each finished training."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mergeit_ops.errors import DatasetError, DiskError

__all__ = ["Results", "RunKey", "RunResult"]


_START = '{"kind": "'


@dataclass(frozen=True)
class RunKey:
    """A training.

    :param role: `base`, `random`, `random_2x`, `swapped`, or `set`.
    :param digest: digest of the set, or of the pool for controls; empty for `base`.
    :param draw: index of the draw of rows, from 0.
    :param seed: index of the order of steps within the draw, from 0.
    """

    role: str
    digest: str = ""
    draw: int = 0
    seed: int = 0


@dataclass(frozen=True)
class RunResult:
    """The result of a training.

    :param key: key of the training.
    :param sums: (n,) losses of the held-out rows, each the sum over the tokens of its answers.
    :param facts: further figures: `rows`, `distinct_rows`, `answer_tokens`, `tokens`, `steps`, `train_s`, `eval_s`.
    """

    key: RunKey
    sums: list[float]
    facts: Mapping[str, Any]


class Results:
    """The file of results.

    :param path: path of the file, which need not exist yet.
    :param experiment: id of the experiment to read and continue. The file may have other experiments too.
    """

    def __init__(self, path: Path, experiment: str) -> None:
        self._path = path
        self._experiment = experiment
        self._lock = FileLock(f"{path}.lock")
        self.found: dict[RunKey, RunResult] = {}
        self.others = 0
        """Number of trainings of other experiments in the file."""
        self._described = False

    def open(self, description: Mapping[str, Any], *, read_only: bool = False) -> None:
        """Read the file. If the experiment is new, add its description.

        :param description: description of the experiment, in a form that JSON can hold.
        :param read_only: whether to write nothing.
        :raises DatasetError: if the file has something other than results, or another process writes to it.
        :raises DiskError: if the file cannot be written.
        """
        if read_only:
            for line in self._lines(mend=False):
                self._read(line)
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise DatasetError(
                f"--results: another process writes to '{self._path}'; wait for it, or name another file."
            ) from error
        except OSError as error:
            raise DiskError(f"--results: '{self._path}' cannot be written ({error}).") from error
        for line in self._lines(mend=True):
            self._read(line)
        self._end_line()
        if not self._described:
            self._append({"kind": "experiment", "experiment": self._experiment, **description})

    def close(self) -> None:
        """Allow other processes to write to the file."""
        self._lock.release()

    def add(self, result: RunResult) -> None:
        """Add the result of a finished training, so that no run repeats it.

        :raises DiskError: if the file cannot be written.
        """
        line = {
            "kind": "run",
            "experiment": self._experiment,
            **asdict(result.key),
            **result.facts,
            "sums": [round(value, 5) for value in result.sums],
        }
        self._append(line)
        self._read(line)

    def _read(self, line: Mapping[str, Any]) -> None:
        own = line.get("experiment") == self._experiment
        if line.get("kind") == "experiment":
            self._described = self._described or own
        elif not own:
            self.others += 1
        else:
            names = ("role", "digest", "draw", "seed")
            key = RunKey(*(line[name] for name in names))
            facts = {name: value for name, value in line.items() if name not in (*names, "kind", "experiment", "sums")}
            self.found[key] = RunResult(key, list(line["sums"]), facts)

    def _lines(self, *, mend: bool) -> Iterator[dict[str, Any]]:
        if not self._path.exists():
            return
        # splitlines would also split at characters that JSON does not escape.
        texts = self._path.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n").split("\n")
        for number, text in enumerate(texts, start=1):
            if not text.strip():
                continue
            try:
                line = json.loads(text)
                if not isinstance(line, dict) or line.get("kind") not in ("experiment", "run"):
                    raise ValueError
            except ValueError as error:
                if number == len(texts) and _START.startswith(text[: len(_START)]):
                    # The run was killed while it wrote this line, so the training runs again.
                    if mend:
                        self._cut_off(text)
                    return
                raise DatasetError(
                    f"--results: line {number} of '{self._path}' is not a result of train-eval; name another file."
                ) from error
            yield line

    def _cut_off(self, text: str) -> None:
        content = self._path.read_bytes().rstrip(b"\n")
        os.truncate(self._path, len(content) - len(text.encode("utf-8", "surrogateescape")))

    def _end_line(self) -> None:
        """Add the line break of the last line if a killed run did not write it."""
        if self._path.exists() and not self._path.read_bytes().endswith(b"\n") and self._path.stat().st_size:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n")

    def _append(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DiskError(f"--results: '{self._path}' cannot be written ({error}).") from error
