"""Run the whole method on a Ray cluster of two nodes on this machine, kill a part of it, and count the rows.

    python scripts/two_node_cluster.py [--lose nothing|worker|node] [--data rows.jsonl] [--keep]

The script starts a head and a second node as separate processes. Like another machine, the second node has its own home
and none of the driver's environment variables. A loopback server replaces the language model. `worker` kills a process
of the second node during merging, and `node` kills the whole second node. The exit code is 0 only if every row that
entered the merger left the gate exactly once, by itself or inside one merge.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from tests.llm_server import FakeLLMServer  # noqa: E402

BIN = Path(sys.executable).parent
KEY = "a-key-that-only-the-driver-has"
PROCESS = [
    {"topic_cluster_grouper": {}},
    {"facility_location_selector": {"select_ratio": 0.8}},
    {"llm_pair_merger_mapper": {"api_or_hf_model": "merger", "similarity_threshold": 0.5, "max_concurrency": 1}},
    {"quality_gate_filter": {"scorer": "distilled", "gamma": 0.75}},
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def bare_environment(home: Path) -> dict[str, str]:
    """The environment of a node: a path, a home, and the package."""
    home.mkdir(parents=True)
    return {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(home), "PYTHONPATH": str(REPOSITORY)}


@contextmanager
def ray_node(arguments: list[str], environment: Mapping[str, str], log: Path) -> Iterator[psutil.Process]:
    """Run a node while a block runs."""
    command = [str(BIN / "ray"), "start", *arguments, "--num-cpus=1", "--disable-usage-stats", "--block"]
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield psutil.Process(process.pid)
    finally:
        stop(psutil.Process(process.pid) if process.poll() is None else None)
        process.wait()


def stop(process: psutil.Process | None, hard: bool = False) -> None:
    if process is None:
        return
    family = [*process.children(recursive=True), process]
    for member in family:
        try:
            member.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(family, timeout=10)
    for member in alive:
        member.kill()


def until(condition, what: str, seconds: float = 120) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"gave up waiting for {what}")
        time.sleep(0.05)


def merging_workers(node: psutil.Process) -> list[psutil.Process]:
    """Return the processes of the node that run one of our tasks."""
    found = []
    for process in node.children(recursive=True):
        try:
            if "_run_block" in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def prompts(server: FakeLLMServer) -> Counter[str]:
    return Counter(json.dumps(request["messages"], sort_keys=True) for request in server.requests)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lose", choices=["nothing", "worker", "node"], default="worker")
    parser.add_argument("--data", type=Path, default=REPOSITORY / "recipes" / "data" / "sample_instructions.jsonl")
    parser.add_argument("--latency", type=float, default=0.5, help="seconds for each answer")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs, journals and export")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="two-nodes-"))
    try:
        run(folder, options)
    finally:
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def run(folder: Path, options: argparse.Namespace) -> None:
    port = free_port()
    recipe = folder / "recipe.yaml"
    export = folder / "out" / "export"
    settings = {
        "executor_type": "ray",
        "ray_address": f"127.0.0.1:{port}",
        "dataset_path": str(options.data.resolve()),
        "export_path": str(export),
        "export_type": "jsonl",
        "text_keys": "output",
        "open_monitor": False,
        "process": PROCESS,
    }
    recipe.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    head_environment = bare_environment(folder / "head")
    far_environment = bare_environment(folder / "second")
    head_arguments = ["--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder / 'ray'}"]
    far_arguments = [f"--address=127.0.0.1:{port}"]
    with (
        FakeLLMServer(latency_s=options.latency, api_key=KEY) as server,
        ray_node(head_arguments, head_environment, folder / "head.log"),
    ):
        until(lambda: "Ray runtime started" in (folder / "head.log").read_text(), "the head")
        with ray_node(far_arguments, far_environment, folder / "second.log") as second:
            until(lambda: "Ray runtime started" in (folder / "second.log").read_text(), "the second node")
            driver_environment = head_environment | {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url}
            driver = subprocess.Popen(
                [str(BIN / "dj-process"), "--config", str(recipe)],
                env=driver_environment,
                cwd=folder,
                stdout=(folder / "driver.log").open("w"),
                stderr=subprocess.STDOUT,
            )
            if options.lose != "nothing":
                until(lambda: len(server.requests) > 12 and merging_workers(second), "merging on the second node")
                before = prompts(server)
                if options.lose == "worker":
                    (victim, *_) = merging_workers(second)
                    victim.kill()
                    print(f"killed worker {victim.pid} after {sum(before.values())} requests")
                else:
                    stop(second, hard=True)
                    print(f"killed the second node after {sum(before.values())} requests")
            code = driver.wait(timeout=600)
        account(folder, export, server, code)


def account(folder: Path, export: Path, server: FakeLLMServer, code: int) -> None:
    """Print the results of the run; exit with 1 if rows were lost or doubled."""
    if code:
        print((folder / "driver.log").read_text()[-3000:])
        raise SystemExit(f"dj-process ended with exit code {code}")
    (record,) = export.parent.rglob("*_llm_pair_merger_mapper.json")
    manifest = json.loads(record.read_text())
    rows = [json.loads(line) for part in sorted(export.iterdir()) for line in part.read_text().splitlines()]
    statuses = Counter(row["__dj__meta__"]["merge_status"] for row in rows)
    alone = [row["__dj__meta__"]["row_id"] for row in rows if row["__dj__meta__"]["merge_status"] != "merged"]
    inside = [row_id for row in rows for row_id in row["__dj__meta__"]["merge_parent_ids"] or ()]
    asked = prompts(server)
    again = sum(count - 1 for count in asked.values())
    print(f"{len(manifest['entered'])} rows entered the merger, {manifest['figures']['pairs']} pairs")
    print(f"{len(rows)} rows left the gate: {dict(statuses)}")
    print(f"{sum(asked.values())} requests for {len(asked)} different prompts: {again} asked again")
    if Counter(alone + inside) != Counter(manifest["entered"]):
        raise SystemExit("rows were lost or doubled")
    if manifest["figures"]["pairs"] != len(asked):
        raise SystemExit("some pairs were never asked for")
    print("conserved: every row that entered the merger left the gate once, by itself or inside a merge")


if __name__ == "__main__":
    main()
