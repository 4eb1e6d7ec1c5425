"""A flat selection on Ray: all rows in one task, and in partitions.

    python benchmarks/flat_partitions.py [--rows 100000] [--partition-rows 25000] [--budget 5000] [--nodes 2 | --here]
    python benchmarks/flat_partitions.py --sample

Rows are synthetic and bring embeddings of 384 dimensions around many directions (see scaling.py). Each side selects in
the same cluster, which has one processor per node; the nodes are on this machine, each with its own object store. The
table has the seconds, the processor seconds of all workers, the memory of the largest worker (its resident set, with
what it reads from the object store), and the share of the objective, measured at 20,000 of the rows. With `--here`
there is no Ray: this process chooses from the vectors alone, one partition after the other.

With `--sample` it compares the objective of facility location on the bundled sample, for small partitions and several
budgets, without Ray.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import ray
from common import REPOSITORY, read_rows, table
from ray.cluster_utils import Cluster
from scaling import MIB, TIGHT_SHARE, directions, vector_texts

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.products import inner_products
from mergeit_ops.core.selection.budget import Budget
from mergeit_ops.core.selection.facility_location import FacilityLocation, objective, select
from mergeit_ops.core.selection.k_center import KCenter
from mergeit_ops.distributed.blocks import Resources
from mergeit_ops.distributed.rows import RayRows
from mergeit_ops.embedding import load_encoder
from mergeit_ops.jobs.part_selection import select_from_parts
from mergeit_ops.jobs.row_facts import RowFacts
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from mergeit_ops.jobs.selection import SelectionJob
from mergeit_ops.jobs.selection_run import select_from_all

sys.path.insert(0, str(REPOSITORY))

from tests.held_parts import HeldParts

BLOCK_ROWS = 10_000
JUDGED_ROWS = 20_000
STORE = 2 * 2**30
READER = SampleReader("select", resolve_format("alpaca", ["instruction", "output"]), EncoderSettings("none"))
SAMPLE = REPOSITORY / "recipes" / "data" / "sample_instructions.jsonl"
SAMPLE_PARTITION_ROWS = (100, 200, 300)
SAMPLE_BUDGETS = (5, 24, 60, 98, 200)
METHODS = {"facility_location": FacilityLocation, "k_center": KCenter}


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


@dataclass(frozen=True)
class Side:
    """One selection: the chosen rows, the figures of the record, and what it took; the memory is in bytes."""

    name: str
    chosen: np.ndarray
    figures: Mapping[str, Any]
    seconds: float
    processor_seconds: float
    peak: float = 0.0


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
    parser.add_argument("--here", action="store_true", help="without Ray, in this process")
    parser.add_argument("--sample", action="store_true", help="the bundled sample, without Ray")
    options = parser.parse_args()
    if options.sample:
        print_sample()
        return
    if options.here:
        print_sides(options, *(chosen_here(options, side) for side in options.sides))
        return
    cluster = Cluster()
    for _ in range(options.nodes):
        cluster.add_node(num_cpus=1, object_store_memory=STORE, include_dashboard=False)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    try:
        dataset = ray.data.from_arrow(list(tables(made_up(options.rows))))
        print_sides(options, *(chosen_on_ray(options, side, dataset) for side in options.sides))
    finally:
        ray.shutdown()
        cluster.shutdown()


def print_sample() -> None:
    """Print how the objective on the sample changes if the rows are divided."""
    rows = sorted((row for row in read_rows(SAMPLE) if row["output"].strip()), key=lambda row: row["source"])
    vectors = load_encoder().encode([f"{row['instruction']} {row['input']}".strip() for row in rows])
    whole = {budget: objective(vectors, select(vectors, budget).indices) for budget in SAMPLE_BUDGETS}
    lines = []
    for most in SAMPLE_PARTITION_ROWS:
        for budget in SAMPLE_BUDGETS:
            parts = HeldParts.of(vectors, -(-len(vectors) // most), np.arange(len(vectors)))
            job = SelectionJob(READER, FacilityLocation(partition_rows=most), Budget(total=budget))
            chosen, _, figures = select_from_parts(parts, job, RowFacts())
            change = objective(vectors, chosen) / whole[budget] - 1
            lines.append([str(most), str(budget), f"{budget / most:.2f}", str(figures["offered"]), f"{change:+.2%}"])
    print(table(["partition_rows", "budget", "share", "offered", "objective"], lines))


def job_of(options: argparse.Namespace, side: str) -> SelectionJob:
    """Return the selection of a side."""
    method = METHODS[options.method](partition_rows=options.partition_rows if side == "partitions" else None)
    return SelectionJob(READER, method, Budget(total=options.budget))


def chosen_here(options: argparse.Namespace, side: str) -> Side:
    """Select in this process."""
    vectors, job = made_up(options.rows), job_of(options, side)
    start, processor = time.perf_counter(), time.process_time()
    if side == "partitions":
        parts = HeldParts.of(vectors, -(-options.rows // options.partition_rows), np.arange(options.rows))
        positions, _, figures = select_from_parts(parts, job, RowFacts())
    else:
        positions, figures = job.from_all(vectors, RowFacts())[0], {}
    seconds = time.perf_counter() - start
    return Side(side, positions, figures, seconds, time.process_time() - processor)


def chosen_on_ray(options: argparse.Namespace, side: str, dataset: ray.data.Dataset) -> Side:
    """Select in the cluster."""
    rows = RayRows.of(dataset, Resources(), READER.operator)
    start = time.perf_counter()
    with watched() as found:
        selected, figures, _ = select_from_all(rows, job_of(options, side), keep_embeddings=False)
    seconds = time.perf_counter() - start
    chosen = np.array(sorted(row["n"] for row in selected.dataset.select_columns(["n"]).take_all()))
    return Side(side, chosen, figures, seconds, found.processor_seconds, found.peak)


def print_sides(options: argparse.Namespace, *sides: Side) -> None:
    """Print the table."""
    vectors = made_up(options.rows)
    worths = [worth(vectors, side.chosen, options.method) for side in sides]
    lines = []
    for side, own in zip(sides, worths, strict=True):
        print(side.name, len(side.chosen), side.figures, file=sys.stderr)
        memory = f"{side.peak / MIB:,.0f}" if side.peak else "-"
        # The last side is the one to compare with.
        figures = (f"{side.seconds:.0f}", f"{side.processor_seconds:.0f}", memory, f"{own / worths[-1]:.5f}")
        lines.append([side.name, *figures])
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
