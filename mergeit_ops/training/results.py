"""Results as JSON Lines: what an experiment is, then a line for each finished training, to which others are added."""

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
    :param digest: of the set, or of the pool that rows are drawn from; empty for `base`.
    :param draw: number of the draw of rows.
    :param seed: number of the order of steps within the draw.
    """

    role: str
    digest: str = ""
    draw: int = 0
    seed: int = 0


@dataclass(frozen=True)
class RunResult:
    """What a training gave.

    :param key: of the training.
    :param sums: (n,) losses of the held-out rows, summed over the tokens of their answers.
    :param facts: further figures: `rows`, `distinct_rows`, `answer_tokens`, `tokens`, `steps`, `train_s`, `eval_s`.
    """

    key: RunKey
    sums: list[float]
    facts: Mapping[str, Any]


class Results:
    """The file of results; see `opened`.

    :param path: of the file, which need not be there yet.
    :param experiment: id of the experiment that is read and added to; others may stand in the same file.
    """

    def __init__(self, path: Path, experiment: str) -> None:
        self._path = path
        self._experiment = experiment
        self._lock = FileLock(f"{path}.lock")
        self.found: dict[RunKey, RunResult] = {}
        self.others = 0
        """Trainings of other experiments in the file."""
        self._described = False

    def open(self, description: Mapping[str, Any], *, read_only: bool = False) -> None:
        """Read the file, and write down what the experiment is where it is new.

        :param description: of the experiment; what JSON can hold.
        :param read_only: whether nothing is to be written.
        :raises DatasetError: if the file is none of results, or another process adds to it.
        :raises DiskError: if it cannot be written.
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
                f"--results: another process adds to '{self._path}'; wait for it, or name another file."
            ) from error
        except OSError as error:
            raise DiskError(f"--results: '{self._path}' cannot be written ({error}).") from error
        for line in self._lines(mend=True):
            self._read(line)
        self._end_line()
        if not self._described:
            self._append({"kind": "experiment", "experiment": self._experiment, **description})

    def close(self) -> None:
        """Let other processes add to the file."""
        self._lock.release()

    def add(self, result: RunResult) -> None:
        """Write down a training that is finished, so that it is never done again.

        :raises DiskError: if it cannot be written.
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
        # Not by splitlines: that splits at characters that JSON leaves as they are.
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
                    # A kill in the middle of a line: that training is done again.
                    if mend:
                        self._cut_off(text)
                    return
                raise DatasetError(
                    f"--results: line {number} of '{self._path}' is no result of train-eval; name another file."
                ) from error
            yield line

    def _cut_off(self, text: str) -> None:
        content = self._path.read_bytes().rstrip(b"\n")
        os.truncate(self._path, len(content) - len(text.encode("utf-8", "surrogateescape")))

    def _end_line(self) -> None:
        """End the last line where a kill has kept its text and not its end."""
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
