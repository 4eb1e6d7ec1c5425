"""Runs in their own process that end early: they stop themselves, the user stops them, or they are killed."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mergeit_ops.core.columns import META
from mergeit_ops.dataset import manifest
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import LLMUnavailableError, TooManyFailuresError
from tests.llm_server import FakeLLMServer, Reply, error, merge_answer
from tests.recipe_runs import read_jsonl, run_command, run_recipe, write_jsonl, write_recipe
from tests.test_whole_runs import assert_conserved, pipeline, work_dir_of

STOPS_WITHIN_S = 60.0
"""From the start of the command, imports included; 6 to 32 were measured on two busy cores. A run that waited in vain
would take minutes."""


@pytest.fixture
def data(tmp_path, embedded_rows) -> Path:
    return write_jsonl(tmp_path / "in.jsonl", embedded_rows)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A reserved port at which no server listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def stopping_run(case: str, server: FakeLLMServer, port: int) -> list[dict[str, Any]]:
    process = pipeline(server)
    merger = process[2]["llm_pair_merger_mapper"]
    if case == "wrong key":
        server.answer = lambda _: error(401, "no such key")
    if case == "unknown model":
        server.models = ("another",)
    if case == "nobody listens":
        merger["model_params"] = {"base_url": f"http://127.0.0.1:{port}/v1"}
    if case == "no key and no server":
        del merger["model_params"]
    if case == "unusable answers":
        server.answer = lambda _: "no JSON"
    if case == "silent":
        server.latency_s = 600.0
        merger["timeout_s"] = 2
    return process


# The last line, and the maximum number of requests.
SENTENCES = {
    "wrong key": ("LLMUnavailableError", r"refused the API key (HTTP 401: no such key)", "OPENAI_API_KEY", 1),
    "unknown model": ("LLMUnavailableError", "does not know model 'merger'", "check api_or_hf_model", 1),
    "nobody listens": ("LLMUnavailableError", "Nobody answers at http://127.0.0.1:", "start the server", 0),
    "no key and no server": ("LLMUnavailableError", "There is no LLM to ask", "OPENAI_API_KEY", 0),
    "unusable answers": ("TooManyFailuresError", "(unparsable: 2", "max_failure_ratio=0.5", 90),
    # All requests wait at the same time, and each is sent at most twice.
    "silent": ("LLMUnavailableError", "no answer that can be used", "check that the server is well", None),
}
# test_secrets_of_runs.py also tests a wrong key.
QUICK = [("nobody listens", 4)]
RUNS = [
    pytest.param(case, np, id=f"{case}, np {np}", marks=[] if (case, np) in QUICK else [pytest.mark.slow])
    for case in SENTENCES
    for np in (1, 4)
]


@pytest.mark.parametrize(("case", "np"), RUNS)
def test_a_hopeless_run_ends_soon_and_its_last_line_says_why(case, np, tmp_path, data, closed_port):
    kind, why, advice, most_requests = SENTENCES[case]
    with FakeLLMServer() as server:
        recipe = write_recipe(tmp_path, stopping_run(case, server, closed_port), data, np=np)
        started = time.monotonic()
        done = run_command("dj-process", "--config", str(recipe), cwd=tmp_path, timeout=2 * STOPS_WITHIN_S)
        seconds = time.monotonic() - started
        prompts = {json.dumps(body["messages"]) for body in server.requests}
        assert len(server.requests) <= (2 * len(prompts) if most_requests is None else most_requests)
    print(f"{case}, np {np}: {seconds:.1f} s")
    assert seconds < STOPS_WITHIN_S
    assert done.returncode == 1
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"mergeit_ops.errors.{kind}: ")
    assert why in last
    assert advice in last
    assert list((tmp_path / "out").glob("*.jsonl")) == []


@pytest.mark.parametrize(
    ("case", "raised"), [("unknown model", LLMUnavailableError), ("unusable answers", TooManyFailuresError)]
)
def test_a_hopeless_run_in_this_process_raises_and_exports_nothing(case, raised, tmp_path, data, closed_port):
    with FakeLLMServer() as server, pytest.raises(raised) as caught:
        run_recipe(write_recipe(tmp_path, stopping_run(case, server, closed_port), data))
    assert SENTENCES[case][1] in str(caught.value)
    assert list((tmp_path / "out").glob("*.jsonl")) == []


REFUSALS = {
    "credit ends": (error(429, "You exceeded your current quota.", code="insufficient_quota"), "no credit left"),
    "key expires": (error(401, "The key has expired."), "refused the API key"),
    "model goes": (error(404, "The model `merger` has been retired."), "does not know model 'merger'"),
    "rate without end": (error(429, "Daily limit reached.", retry_after="9999"), "asks to wait 9999 seconds"),
}


def answering_first(count: int, then: Reply) -> Callable[[dict[str, Any]], str | Reply]:
    """Answer some requests normally, and refuse the others."""
    numbers = itertools.count(1)
    return lambda body: merge_answer(body) if next(numbers) <= count else then


def stopped_run(recipe: Path, folder: Path) -> str:
    """Run a recipe that stops, in its own process, and return its last line."""
    done = run_command("dj-process", "--config", str(recipe), cwd=folder, timeout=2 * STOPS_WITHIN_S)
    assert done.returncode == 1
    assert list((folder / "out").glob("*.jsonl")) == []
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "case", [case if case == "credit ends" else pytest.param(case, marks=pytest.mark.slow) for case in REFUSALS]
)
def test_a_server_that_refuses_in_mid_run_stops_it_and_the_next_run_pays_for_the_rest(
    case, tmp_path, data, embedded_rows
):
    reply, why = REFUSALS[case]
    with FakeLLMServer(answering_first(10, reply)) as server:
        merger = {"cache_path": str(tmp_path / "answers.sqlite3"), "max_concurrency": 4}
        recipe = write_recipe(tmp_path, pipeline(server, **merger), data)
        last = stopped_run(recipe, tmp_path)
        assert last.startswith("mergeit_ops.errors.LLMUnavailableError: ")
        for part in (why, reply.payload["error"]["message"], "10 answers are in the journal", "run the same recipe"):
            assert part in last
        assert len(server.requests) <= 10 + 4 + 4
        server.requests.clear()
        server.answer = merge_answer
        export = run_recipe(recipe)
        assert_conserved(export, embedded_rows)
        groups = {row[META]["merge_group_id"] for row in read_jsonl(export)} - {None}
        assert len(server.requests) == len(groups) - 10


@pytest.mark.slow
def test_a_judge_that_is_refused_in_mid_run_stops_it_too(tmp_path, data, embedded_rows):
    answer = answering_first(10, REFUSALS["credit ends"][0])

    def judged(body: dict[str, Any]) -> str | Reply:
        return answer(body) if body["model"] == "judge" else merge_answer(body)

    with FakeLLMServer(judged) as server:
        process = pipeline(server, cache_path=str(tmp_path / "answers.sqlite3"))
        judge = {"api_or_hf_model": "judge", "model_params": {"base_url": server.base_url}, "max_concurrency": 4}
        judge["cache_path"] = str(tmp_path / "answers.sqlite3")
        process[3] = {"quality_gate_filter": {"scorer": "llm_judge", "scorer_params": judge}}
        recipe = write_recipe(tmp_path, process, data)
        last = stopped_run(recipe, tmp_path)
        assert last.startswith("mergeit_ops.errors.LLMUnavailableError: quality_gate_filter: The LLM server at ")
        assert "no credit left (HTTP 429: You exceeded your current quota.)" in last
        assert "10 answers are in the journal" in last
        server.requests.clear()
        server.answer = merge_answer
        assert_conserved(run_recipe(recipe), embedded_rows)
        assert {body["model"] for body in server.requests} == {"judge"}


def test_a_run_that_ends_well_tells_the_last_error_of_each_reason(tmp_path, data, monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(manifest.logger, "info", lines.append)
    numbers = itertools.count(1)

    def answer(body: dict[str, Any]) -> str | Reply:
        number = next(numbers)
        if number % 5 == 0:
            return error(400, "\x1b[1mThe tokens are\nof the wrong kind.")
        return error(400, "prompt is too long") if number % 7 == 0 else merge_answer(body)

    with FakeLLMServer(answer) as server:
        export = run_recipe(write_recipe(tmp_path, pipeline(server), data))
    (record,) = [record for record in read_manifests(work_dir_of(export)) if record["operator"].startswith("llm_")]
    assert record["figures"]["last_errors"] == {
        "api_failed": "HTTP 400: The tokens are of the wrong kind.",
        "too_long": "HTTP 400: prompt is too long",
    }
    assert record["figures"]["answered_as"] == {"made-up-answers": record["figures"]["merged"]}
    summary = [line for line in lines if "MergeIT summary" in line][-1]
    assert "last errors (api_failed HTTP 400: The tokens are of the wrong kind., too_long HTTP 400" in summary


def start_dj_process(recipe: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start the command in its own session, like a terminal, so that its process group gets the signals."""
    command = [str(Path(sys.executable).parent / "dj-process"), "--config", str(recipe)]
    with log.open("wb") as file:
        return subprocess.Popen(
            command,
            cwd=recipe.parent,
            stdout=file,
            stderr=file,
            start_new_session=True,
            # The tests may run with this signal ignored, like background jobs.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


def processes_of_session(leader: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


ENDS = [
    pytest.param(
        number,
        np,
        id=f"{number.name}, np {np}",
        marks=[] if (number, np) == (signal.SIGKILL, 1) else [pytest.mark.slow],
    )
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
    for np in (1, 4)
]


@pytest.mark.parametrize(("number", "np"), ENDS)
def test_a_run_that_is_ended_while_it_merges_costs_only_what_was_in_flight(number, np, tmp_path, data, embedded_rows):
    concurrency = 4
    merger = {"max_concurrency": concurrency, "cache_path": str(tmp_path / "answers.sqlite3")}
    with FakeLLMServer(latency_s=0.3) as server:
        recipe = write_recipe(tmp_path, pipeline(server, **merger), data, np=np)
        child = start_dj_process(recipe, tmp_path / "log.txt")
        deadline = time.monotonic() + 60
        while len(server.requests) < 12:
            assert child.poll() is None, (tmp_path / "log.txt").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        started = time.monotonic()
        if number == signal.SIGINT:
            # Like Ctrl-C, which goes to every process of the terminal's group.
            os.killpg(child.pid, number)
        else:
            child.send_signal(number)
        code = child.wait(timeout=60)
        seconds = time.monotonic() - started
        # Helpers of the multiprocessing library notice the end of their parent a moment later.
        while processes_of_session(child.pid) and time.monotonic() - started < 10:
            time.sleep(0.05)
        left = processes_of_session(child.pid)
        last = (tmp_path / "log.txt").read_text().splitlines()[-1:]
        print(f"{number.name}, np {np}: {seconds:.1f} s, exit code {code}, left {left}, last line {last}")
        assert code != 0
        assert seconds < 10
        assert left == []
        assert list((tmp_path / "out").glob("*.jsonl")) == []
        asked = len(server.requests)
        server.latency_s = 0.0
        export = run_recipe(recipe)
        times = Counter(body["messages"][-1]["content"] for body in server.requests)
    assert asked < len(times)
    assert sum(times.values()) - len(times) <= concurrency
    assert_conserved(export, embedded_rows)
    groups = {row[META]["merge_group_id"] for row in read_jsonl(export)} - {None}
    assert len(times) == len(groups)
