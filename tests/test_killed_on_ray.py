"""A Ray driver that is killed during merging: its records say so, and few requests are paid for twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.runs import read_run
from mergeit_ops.runs.inputs import read_input
from mergeit_ops.runs.verification import verify
from tests.llm_server import FakeLLMServer, merge_answer
from tests.recipe_runs import write_jsonl, write_recipe

pytestmark = pytest.mark.slow

_DRIVER = "import sys, pathlib; from tests.recipe_runs import run_recipe_on_ray as run; run(pathlib.Path(sys.argv[1]))"


def test_a_killed_driver_leaves_begun_records_and_pays_twice_for_what_was_in_flight(tmp_path, embedded_rows):
    killed = threading.Event()
    drivers: list[subprocess.Popen] = []
    asked: list[str] = []

    def answer(body: dict[str, Any]) -> Any:
        asked.append(json.dumps(body["messages"]))
        if len(asked) == 16 and not killed.is_set():
            killed.set()
            os.kill(drivers[0].pid, signal.SIGKILL)
        return merge_answer(body)

    data = write_jsonl(tmp_path / "in.jsonl", embedded_rows)
    with FakeLLMServer(answer=answer, latency_s=0.3) as server:
        llm = {"api_or_hf_model": "merger", "model_params": {"base_url": server.base_url}, "max_concurrency": 2}
        process = [
            {"quality_gate_filter": {"scorer": "tests.user_scorers:ByLength", "min_score": 1.0}},
            {"topic_cluster_grouper": {"num_clusters": 12}},
            {"llm_pair_merger_mapper": {"similarity_threshold": 0.3, **llm}},
            {"quality_gate_filter": {"scorer": "tests.user_scorers:ByLength", "gamma": 0.5}},
        ]
        recipe = write_recipe(tmp_path, process, data, job_id="again", export_path=str(tmp_path / "out" / "export"))

        def start() -> int:
            drivers.insert(0, subprocess.Popen([sys.executable, "-c", _DRIVER, str(recipe)]))
            return drivers[0].wait(timeout=400)

        assert start() == -signal.SIGKILL
        work_dir = next(tmp_path.rglob("mergeit")).parent
        records = read_manifests(work_dir)
        assert [(record["place"], record["state"]) for record in records] == [(0, "done"), (1, "done"), (2, "running")]
        assert start() == 0
    again = len(asked) - len(set(asked))
    # Two processors, or more, with two requests each.
    assert again <= 2 * (os.cpu_count() or 1)
    later = read_manifests(work_dir)[3:]
    assert [(record["place"], record["state"]) for record in later] == [(number, "done") for number in range(4)]
    assert verify(read_run(Path(tmp_path / "out" / "export")), read_input(data)).holds
