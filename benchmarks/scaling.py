"""Seconds and memory of a whole dj-process run of select_only on 10,000 to 1,000,000 rows.

    python benchmarks/scaling.py [--rows 10000 30000 100000 300000 1000000] [--flat] [--folder DIR]

Rows are synthetic and reproducible. Their texts are as long as Alpaca's. Their embeddings lie around many directions
whose shares fall like 1 / rank, and one tight direction has a twentieth of all rows. Data-Juicer loads them from
parquet and writes JSON Lines. Memory is the resident set of the largest process, sampled every 50 ms. For the whole
run, it is the highest value that the system reports for one process. Seconds of operators come from their manifests.
Loading ends when the first operator starts, and exporting starts when the last one ends.
"""

from __future__ import annotations

import argparse
import binascii
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.dataset.manifest import MANIFEST_DIR, read_manifests

WIDTH = 384
BLOCK_ROWS = 10_000
ROW_GROUP_ROWS = 10_000  # rows that a loader has in memory at once
TIGHT_SHARE = 0.05
DUPLICATE_EVERY = 1_000
SYLLABLES = ("ka", "lo", "mi", "ren", "tu", "sa", "vel", "po", "dri", "an", "e", "gor")
PROCESS_TOPICS = (
    {"topic_cluster_grouper": {}},
    {"facility_location_selector": {"select_ratio": 0.2}},
    {"topic_reverse_grouper": {}},
)
PROCESS_FLAT = ({"facility_location_selector": {"select_ratio": 0.2}},)
SAMPLE_SECONDS = 0.05
MIB = 2**20


def directions(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return (count, WIDTH) float32 unit vectors."""
    made = spectrum() * rng.normal(size=(count, WIDTH)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def spectrum() -> np.ndarray:
    """Return the spread along each axis. About 240 of 384 axes have 95 % of the variance, as with MiniLM."""
    return ((1 + np.arange(WIDTH) / 60) ** -1.1).astype(np.float32)


def vector_texts(vectors: np.ndarray) -> pa.Array:
    """Return vectors as base64 texts. 4 * WIDTH is a multiple of three, so the texts have no padding."""
    text = binascii.b2a_base64(np.ascontiguousarray(vectors, "<f4").tobytes(), newline=False)
    each = len(text) // len(vectors)
    offsets = np.arange(0, len(text) + 1, each, dtype=np.int32)
    return pa.StringArray.from_buffers(len(vectors), pa.py_buffer(offsets), pa.py_buffer(text))


def blocks(rows: int) -> Iterator[pa.Table]:
    """Yield the rows of one size."""
    rng = np.random.default_rng(rows)
    words = np.array(["".join(rng.choice(SYLLABLES, rng.integers(1, 4))) for _ in range(4_000)], dtype=object)
    centres = directions(max(4, 2 * math.isqrt(rows // 2)), rng)
    shares = 1 / np.arange(1, len(centres) + 1)
    tight = directions(1, rng)
    for first in range(0, rows, BLOCK_ROWS):
        size = min(BLOCK_ROWS, rows - first)
        noise = spectrum() * rng.normal(size=(size, WIDTH)).astype(np.float32)
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        vectors = centres[rng.choice(len(centres), size, p=shares / shares.sum())] + 1.2 * noise
        in_tight = rng.random(size) < TIGHT_SHARE
        vectors[in_tight] = tight + 0.12 * noise[in_tight]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        columns = {}
        for name, mean, share in (("instruction", 11, 1.0), ("input", 14, 0.4), ("output", 45, 1.0)):
            lengths = np.where(rng.random(size) < share, 1 + rng.poisson(mean * rng.exponential(size=size)), 0)
            ends = np.cumsum(lengths)
            drawn = words[rng.integers(0, len(words), int(ends[-1]))].tolist()
            columns[name] = [" ".join(drawn[end - length : end]) for end, length in zip(ends, lengths, strict=True)]
        columns["instruction"] = [f"{text} {first + i}" for i, text in enumerate(columns["instruction"])]
        copies = np.arange(DUPLICATE_EVERY - 1, size, DUPLICATE_EVERY)
        for name in columns:
            for i in copies:
                columns[name][i] = columns[name][i - 1]
        vectors[copies] = vectors[copies - 1]
        yield pa.table(columns | {"id": pa.array(range(first, first + size)), EMBEDDING: vector_texts(vectors)})


def write_rows(path: Path, rows: int) -> None:
    """Write the rows of one size as parquet."""
    tables = blocks(rows)
    table = next(tables)
    with pq.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        for table in tables:
            writer.write_table(table, row_group_size=ROW_GROUP_ROWS)


@dataclass
class Stage:
    """One part of a run: start and end in epoch seconds, and the memory of the largest process."""

    name: str
    started: float
    finished: float
    peak: float = 0.0

    @property
    def seconds(self) -> float:
        """Return the duration in seconds."""
        return self.finished - self.started


@dataclass
class Run:
    """One run of dj-process. Memory is in bytes; processor seconds cover all its processes."""

    rows: int
    seconds: float
    cpu_seconds: float
    peak: float
    stages: list[Stage] = field(default_factory=list)
    rows_out: int = 0


def high_water(pid: int) -> float:
    """Return the highest resident set of a process so far; 0 if the system does not report it.

    `ru_maxrss` is not used, because it includes the memory of the parent process at the start.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    return next((float(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


def watch(
    process: psutil.Process, samples: list[tuple[float, float]], highest: list[float], stop: threading.Event
) -> None:
    """Sample the resident set of the largest process of a tree, and keep the highest value."""
    while not stop.wait(SAMPLE_SECONDS):
        largest = 0.0
        try:
            for one in (process, *process.children(recursive=True)):
                try:
                    largest = max(largest, one.memory_info().rss)
                    highest[0] = max(highest[0], largest, high_water(one.pid))
                except psutil.Error:
                    continue
        except psutil.Error:
            return
        samples.append((time.time(), largest))


def run(data: Path, folder: Path, rows: int, process: Sequence[Mapping[str, Any]], np_: int) -> Run:
    """Run dj-process over a file and measure it."""
    recipe = folder / "recipe.yaml"
    settings = {
        "project_name": "scaling",
        "dataset_path": str(data),
        "export_path": str(folder / "out" / "selected.jsonl"),
        "work_dir": str(folder / "work"),
        "np": np_,
        "text_keys": ["instruction", "output"],
        "keep_stats_in_res_ds": True,
        "open_monitor": False,
        "process": list(process),
    }
    recipe.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    # With caches, a second run would reuse loaded data or a fitted model of the first run.
    caches = {"HF_DATASETS_CACHE": str(folder / "cache"), "MERGEIT_CACHE_DIR": str(folder / "own")}
    environment = {**os.environ, **caches, "HF_HUB_OFFLINE": "1"}
    command = [str(Path(sys.executable).parent / "dj-process"), "--config", str(recipe)]
    samples: list[tuple[float, float]] = []
    highest = [0.0]
    stop = threading.Event()
    began = time.time()
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        started = psutil.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=folder)
        watcher = threading.Thread(target=watch, args=(started, samples, highest, stop))
        watcher.start()
        _, status, usage = os.wait4(started.pid, 0)
        ended = time.time()
        stop.set()
        watcher.join()
    if status:
        sys.exit((folder / "log.txt").read_text(encoding="utf-8")[-4000:])
    peak = max(highest)
    stages = stages_of(folder, began, ended)
    for stage in stages:
        stage.peak = max((size for at, size in samples if stage.started <= at <= stage.finished), default=0.0)
    with (folder / "out" / "selected.jsonl").open("rb") as lines:
        rows_out = sum(1 for _ in lines)
    return Run(rows, ended - began, usage.ru_utime + usage.ru_stime, peak, stages, rows_out)


def stages_of(folder: Path, began: float, ended: float) -> list[Stage]:
    """Return when each operator ran, from the manifests, which are written at its end."""
    work_dir = next((folder / "work").rglob(MANIFEST_DIR)).parent
    paths = sorted((work_dir / MANIFEST_DIR).glob("*.json"))
    operators = []
    for path, record in zip(paths, read_manifests(work_dir), strict=True):
        finished = path.stat().st_mtime
        operators.append(Stage(record["operator"], finished - record["figures"]["seconds"], finished))
    load = Stage("start and load", began, operators[0].started)
    return [load, *operators, Stage("export and end", operators[-1].finished, ended)]


def print_run(one: Run) -> None:
    print(f"\n{one.rows:,} rows in, {one.rows_out:,} out, {one.cpu_seconds:.0f} s of processor time\n")
    print("| stage | seconds | peak MiB |\n|---|---|---|")
    for stage in one.stages:
        print(f"| {stage.name} | {stage.seconds:.1f} | {stage.peak / MIB:,.0f} |")
    print(f"| all | {one.seconds:.1f} | {one.peak / MIB:,.0f} |", flush=True)


def print_exponents(runs: list[Run]) -> None:
    """Print the least-squares slopes of log seconds over log rows."""
    print("\n| stage | exponent of seconds in rows | exponent of peak memory in rows |\n|---|---|---|")
    sizes = np.log([one.rows for one in runs])
    names = [stage.name for stage in runs[0].stages]
    for number, name in enumerate([*names, "all"]):
        parts = [one if name == "all" else one.stages[number] for one in runs]
        slopes = [
            np.polyfit(sizes, np.log([max(getattr(part, what), 1e-3) for part in parts]), 1)[0]
            for what in ("seconds", "peak")
        ]
        print(f"| {name} | {slopes[0]:.2f} | {slopes[1]:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 30_000, 100_000, 300_000, 1_000_000])
    parser.add_argument("--np", type=int, default=2, help="processes of Data-Juicer's own steps")
    parser.add_argument("--flat", action="store_true", help="select from all rows at once, without topics")
    parser.add_argument("--folder", type=Path, help="folder that keeps the rows for later runs")
    options = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory() as temporary:
        data_folder = options.folder or Path(temporary)
        data_folder.mkdir(parents=True, exist_ok=True)
        for rows in options.rows:
            data = data_folder / f"rows_{rows}.parquet"
            if not data.exists():
                write_rows(data, rows)
            with tempfile.TemporaryDirectory(dir=data_folder) as folder:
                runs.append(run(data, Path(folder), rows, PROCESS_FLAT if options.flat else PROCESS_TOPICS, options.np))
            print_run(runs[-1])
            if data_folder == Path(temporary):
                data.unlink()
    if len(runs) > 1:
        print_exponents(runs)


if __name__ == "__main__":
    main()
