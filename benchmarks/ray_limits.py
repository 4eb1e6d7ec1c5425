"""Requests per second of tasks on Ray, with and without a token budget, and with and without the journal.

    python benchmarks/ray_limits.py [--requests 2000] [--tasks 2] [--concurrency 64] [--latency 0] [--repeats 3]

The tasks of one operator share `max_concurrency` and `max_total_tokens`, and ask the journal on the driver's machine.
Here they ask a loopback server, in a process of its own, so the messages between the processes are what limits them.
Driver, server, actors and tasks share the processors. The budget is large enough for all requests. The processor time
is that of all processes that this one has started.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import ray
from common import REPOSITORY
from llm_throughput import processor_seconds, server
from loguru import logger

from mergeit_ops.dataset.manifest import Manifest
from mergeit_ops.distributed.asking import asked
from mergeit_ops.distributed.blocks import Blocks, Resources
from mergeit_ops.jobs.asking import EngineJob
from mergeit_ops.llm.engine import LLMEngine, build_engine
from mergeit_ops.llm.requests import LLMRequest
from mergeit_ops.llm.settings import LLMSettings

BUDGET = 10**9


@dataclass
class Questions(EngineJob):
    """Asks the questions of a block."""

    engine: LLMEngine
    dry_run: bool = False
    may_use_gpu: bool = False
    plan: dict[str, Any] = field(default_factory=dict)
    operator = "ray_limits"

    def ask(self, table: pa.Table, own: Any) -> tuple[pa.Table, None]:
        """See `AskingJob`."""
        requests = [
            LLMRequest(tag=question, messages=({"role": "user", "content": question},), parse=str)
            for question in table["question"].to_pylist()
        ]
        self.engine.run(requests, lambda outcome: None, more_to_come=True)
        return table, None


def seconds(url: str, options: argparse.Namespace, budget: int | None, cache_path: str | None) -> float:
    """Return the seconds in which the tasks have asked all their questions."""
    run = time.monotonic_ns()
    size = options.requests // options.tasks
    names = [[f"{run} {task} {number}" for number in range(size)] for task in range(options.tasks)]
    blocks = Blocks([ray.put(pa.table({"question": part})) for part in names], [size] * options.tasks)
    settings = LLMSettings(
        api_or_hf_model="fake",
        model_params={"base_url": url},
        cache_path=cache_path,
        max_concurrency=options.concurrency,
        max_total_tokens=budget,
    )
    manifest = Manifest("ray_limits", {})
    start = time.perf_counter()
    asked(blocks, Questions(build_engine(settings)), Resources(), manifest)
    taken = time.perf_counter() - start
    assert manifest.figures["calls"] == size * options.tasks, manifest.figures
    return taken


def used_seconds() -> float:
    """Return the processor time of all processes that this one has started."""
    return sum(processor_seconds(process) for process in psutil.Process().children(recursive=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=2000, help="of all tasks together")
    parser.add_argument("--tasks", type=int, default=2, help="as many as processors")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds for each answer")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    logger.remove()
    os.environ.setdefault("OPENAI_API_KEY", "none")
    # The questions are in a module of this folder.
    paths = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "benchmarks")])
    ray.init(
        "local",
        num_cpus=options.tasks,
        runtime_env={"env_vars": {"PYTHONPATH": paths, "RAY_JOB": "1"}},
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
    )
    with tempfile.TemporaryDirectory() as folder, server(options.latency) as (url, _):
        journal = str(Path(folder, "answers.sqlite3"))
        sides = [
            (f"{'with' if cache_path else 'without'} journal, {'a' if budget else 'no'} budget", budget, cache_path)
            for cache_path in (None, journal)
            for budget in (None, BUDGET)
        ]
        # Workers start and load libraries.
        seconds(url, argparse.Namespace(**vars(options) | {"requests": 2 * options.tasks}), None, journal)
        print("| | seconds | requests a second | ms of processor a call |\n|---|---|---|---|")
        for _ in range(options.repeats):
            for name, budget, cache_path in sides:
                before = used_seconds()
                taken = seconds(url, options, budget, cache_path)
                used = 1000 * (used_seconds() - before) / options.requests
                print(f"| {name} | {taken:.2f} | {options.requests / taken:.0f} | {used:.1f} |", flush=True)
    ray.shutdown()


if __name__ == "__main__":
    main()
