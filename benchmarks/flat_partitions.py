"""A flat selection on Ray: all rows in one task, and in partitions.

    python benchmarks/flat_partitions.py [--rows 100000] [--partition-rows 25000] [--budget 5000] [--nodes 2]

Rows are synthetic and bring embeddings of 384 dimensions around many directions (see scaling.py). Each side selects in
the same cluster, which has one processor per node; the nodes are on this machine, each with its own object store. The
table has the seconds, the processor seconds of all workers, the memory of the largest worker (its resident set, with
what it reads from the object store), and the share of the objective, measured at 20,000 of the rows.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import psutil
import pyarrow as pa
import ray
from common import table
from ray.cluster_utils import Cluster
from scaling import MIB, TIGHT_SHARE, directions, vector_texts

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.products import inner_products
from mergeit_ops.core.selection import DIVERSITY_METHODS
from mergeit_ops.core.selection.budget import Budget
from mergeit_ops.core.selection.facility_location import FacilityLocation
from mergeit_ops.distributed.blocks import Resources
from mergeit_ops.distributed.rows import RayRows
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from mergeit_ops.jobs.selection import SelectionJob
from mergeit_ops.jobs.selection_run import select_from_all

BLOCK_ROWS = 10_000
JUDGED_ROWS = 20_000
STORE = 2 * 2**30
METHODS = {"facility_location": FacilityLocation, **{name: DIVERSITY_METHODS[name] for name in ("k_center",)}}


def made_up(rows: int) -> np.ndarray:
    """Return (rows, 384) unit vectors."""
    rng = np.random.default_rng(rows)
    centres = directions(max(4, 2 * int((rows // 2) ** 0.5)), rng)
    shares = 1 / np.arange(1, len(centres) + 1)
    tight, parts = directions(1, rng), []
    for first in range(0, rows, BLOCK_ROWS):
        size = min(BLOCK_ROWS, rows - first)
        noise = directions(size, rng)
        own = centres[rng.choice(len(centres), size, p=shares / shares.sum())] + 1.2 * noise
        in_tight = rng.random(size) < TIGHT_SHARE
        own[in_tight] = tight + 0.12 * noise[in_tight]
        parts.append(own / np.linalg.norm(own, axis=1, keepdims=True))
    return np.concatenate(parts).astype(np.float32)


def tables(vectors: np.ndarray) -> Iterator[pa.Table]:
    """Yield the rows in blocks."""
    for first in range(0, len(vectors), BLOCK_ROWS):
        numbers = np.arange(first, min(first + BLOCK_ROWS, len(vectors)))
        texts = [f"What is {number}?" for number in numbers.tolist()]
        columns = {"instruction": texts, "output": texts, "n": numbers}
        yield pa.table(columns | {EMBEDDING: vector_texts(vectors[numbers])})


@dataclass
class Watched:
    """What the workers took: the largest resident set in bytes, and the processor seconds of each process."""

    peak: float = 0.0
    began: dict[int, float] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)

    def look(self) -> None:
        """Look at the workers."""
        for one in psutil.Process().children(recursive=True):
            try:
                if "ray::" not in " ".join(one.cmdline()):
                    continue
                times = one.cpu_times()
                self.seconds[one.pid] = times.user + times.system
                self.began.setdefault(one.pid, self.seconds[one.pid])
                self.peak = max(self.peak, one.memory_info().rss)
            except psutil.Error:
                continue

    @property
    def processor_seconds(self) -> float:
        """Return the processor seconds of all workers."""
        return sum(self.seconds.values()) - sum(self.began.values())


@contextmanager
def watched() -> Iterator[Watched]:
    """Watch the workers while a block runs."""
    found, stop = Watched(), threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            found.look()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        stop.set()
        watcher.join()
        found.look()


def worth(vectors: np.ndarray, chosen: np.ndarray, method: str) -> float:
    """Return the objective, measured at some of the rows: of k-center the largest distance, of the other the cover."""
    judges = vectors[:: max(1, len(vectors) // JUDGED_ROWS)]
    best = np.concatenate(
        [inner_products(judges[at : at + 512], vectors[chosen]).max(axis=1) for at in range(0, len(judges), 512)]
    )
    return float(np.sqrt(2 - 2 * best.min())) if method == "k_center" else float(best.sum(dtype=np.float64))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--partition-rows", type=int, default=25_000)
    parser.add_argument("--budget", type=int, default=5_000)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--method", choices=METHODS, default="facility_location")
    parser.add_argument("--sides", nargs="+", choices=("partitions", "one"), default=("partitions", "one"))
    options = parser.parse_args()
    cluster = Cluster()
    for _ in range(options.nodes):
        cluster.add_node(num_cpus=1, object_store_memory=STORE, include_dashboard=False)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    try:
        compare(options)
    finally:
        ray.shutdown()
        cluster.shutdown()


def compare(options: argparse.Namespace) -> None:
    """Print the table of the sides."""
    vectors = made_up(options.rows)
    dataset = ray.data.from_arrow(list(tables(vectors)))
    reader = SampleReader("select", resolve_format("alpaca", ["instruction", "output"]), EncoderSettings("none"))
    lines, worths = [], []
    for side in options.sides:
        method = METHODS[options.method](partition_rows=options.partition_rows if side == "partitions" else None)
        job = SelectionJob(reader, method, Budget(total=options.budget))
        rows = RayRows.of(dataset, Resources(), "select")
        start = time.perf_counter()
        with watched() as found:
            selected, figures, _ = select_from_all(rows, job, keep_embeddings=False)
        seconds = time.perf_counter() - start
        chosen = np.array(sorted(row["n"] for row in selected.dataset.select_columns(["n"]).take_all()))
        worths.append(worth(vectors, chosen, options.method))
        # The last side is the one to compare with.
        lines.append([side, f"{seconds:.0f}", f"{found.processor_seconds:.0f}", f"{found.peak / MIB:,.0f}"])
        print(side, len(chosen), figures, f"{worths[-1]:.6g}", file=sys.stderr, flush=True)
    for line, one in zip(lines, worths, strict=True):
        line.append(f"{one / worths[-1]:.5f}")
    head = (
        f"{options.rows:,} rows, {options.budget:,} chosen",
        "seconds",
        "processor s",
        "largest worker, MiB",
        "objective",
    )
    print(table(head, lines))


if __name__ == "__main__":
    main()
