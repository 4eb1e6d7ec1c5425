"""Functions that benchmarks share: reading rows, measuring commands, printing tables."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jsonlines

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLE = REPOSITORY / "recipes" / "data" / "sample_instructions.jsonl"
_DATA = REPOSITORY.parent / "shared" / "data" / "alpaca_9k.jsonl"
DATA = _DATA if _DATA.exists() else SAMPLE
"""9,229 rows of Alpaca if they are next to the checkout, else the bundled sample."""

R = TypeVar("R")


def read_rows(path: Path, count: int | None = None) -> list[dict[str, Any]]:
    """Return rows of a JSON Lines file that have an answer."""
    with jsonlines.open(path) as lines:
        rows = [row for row in lines.iter(type=dict) if str(row["output"]).strip()]
    return rows[:count]


def query(row: dict[str, Any]) -> str:
    """Return the text of a row to embed."""
    return f"{row['instruction']} {row.get('input') or ''}".strip()


def timed(function: Callable[[], R]) -> tuple[float, R]:
    """Return the seconds of a call, and its result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def run(command: Sequence[str | Path], **variables: str) -> tuple[float, float]:
    """Run a command and return its seconds and the peak memory of its largest process, in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        env=os.environ | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
    )
    assert process.stderr is not None
    log = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command[0]} failed:\n{log.decode()[-3000:]}")
    # Linux counts in kilobytes, macOS in bytes.
    return time.perf_counter() - start, usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)


def median(values: Sequence[float]) -> float:
    """Return the median of several runs."""
    return statistics.median(values)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
