"""Whole runs with real servers, and runs whose server dies."""

from __future__ import annotations

import json
import threading
import time

import pytest

from tests.llm.conftest import answers_of, text_request
from tests.recipe_runs import read_jsonl, run_command
from tests.servers.running import LITELLM, REPOSITORY, RealServer
from tests.servers.test_protocol import engine_at

pytestmark = pytest.mark.servers

REASONS = {"unparsable", "truncated", "empty", "echo", "refused", "parent_lost", "added_demand"}


def test_a_server_is_started_again_in_the_middle_of_a_run(mortal, tmp_path):
    mortal.start()
    engine = engine_at(mortal, max_concurrency=4, try_num=1, max_failure_ratio=1, cache_path=str(tmp_path / "a.db"))
    starting: list[threading.Thread] = []

    def start_again():
        time.sleep(2)
        mortal.start(wait=False)

    def requests():
        for number in range(60):
            if number == 30:
                mortal.kill()
                starting.append(threading.Thread(target=start_again))
                starting[0].start()
            yield text_request(number)

    outcomes, usage = answers_of(engine, requests())
    starting[0].join()
    assert sorted(outcomes) == list(range(60))
    # The answers of a random model do not matter, but every call must succeed in the end.
    assert set(usage.failures) <= REASONS
    assert usage.retries >= 1
    # A request takes more than one call only if the crash cut it off, or if it found no server.
    assert usage.calls == 60 + usage.retries
    _, usage = answers_of(engine, map(text_request, range(60)))
    answered = sum(outcome.error is None for outcome in outcomes.values())
    assert usage.cache_hits == answered


def test_a_server_that_is_still_starting(mortal):
    mortal.start(wait=False)
    status = 0
    while status == 0:
        status, _ = mortal.post(
            "/chat/completions", {"model": mortal.model, "messages": [{"role": "user", "content": "a"}]}
        )
    _, usage = answers_of(engine_at(mortal, try_num=9), map(text_request, range(5)))
    assert usage.answered == 5


def test_a_whole_run(server, tmp_path):
    """The merges are random texts, which are refused. But no row may be lost."""
    export = tmp_path / "out" / "merged.jsonl"
    merger = "--llm_pair_merger_mapper."
    overrides = {
        "--config": "recipes/mergeit_alpaca.yaml",
        "--export_path": str(export),
        "--np": "1",
        "--facility_location_selector.select_ratio": "0.8",
        f"{merger}api_or_hf_model": server.model,
        f"{merger}sampling_params": json.dumps({"temperature": 0.25, "max_tokens": 300}),
        f"{merger}max_failure_ratio": "1",
        f"{merger}max_concurrency": "2",
    }
    arguments = [text for pair in overrides.items() for text in pair]
    environment = {"PYTHONPATH": str(REPOSITORY), "OPENAI_BASE_URL": server.base_url}
    run = run_command("dj-process", *arguments, cwd=REPOSITORY, environment=environment, timeout=1500)
    assert run.returncode == 0, run.stdout[-3000:]
    summary = [line for line in run.stdout.splitlines() if "MergeIT summary" in line]
    print(summary[-1])
    check = run_command(
        "python", "-m", "mergeit_ops", "verify", "recipes/data/sample_instructions.jsonl", str(export), cwd=REPOSITORY
    )
    assert check.returncode == 0, check.stdout
    print(check.stdout)
    rows = [row["__dj__meta__"] for row in read_jsonl(export)]
    reasons = {row["merge_error"] for row in rows} - {None}
    assert reasons <= REASONS
    if server.kind.json == "schema":
        # With a schema, answers are whole or cut off, but never of another form. No random answer keeps its parents.
        assert "parent_lost" in reasons
        assert "unparsable" not in reasons


def test_the_server_behind_a_gateway_is_started_again(models, monkeypatch):
    """The gateway keeps answering, with its own errors."""
    gateway = RealServer(LITELLM, models)
    if not gateway.kind.needs.exists():
        pytest.skip("the gateway is not installed")
    monkeypatch.setenv("OPENAI_API_KEY", gateway.kind.key)

    def start_again():
        time.sleep(2)
        assert gateway.backend is not None
        gateway.backend.start(wait=False)

    starting = threading.Thread(target=start_again)

    def requests():
        for number in range(60):
            if number == 30:
                assert gateway.backend is not None
                gateway.backend.kill()
                starting.start()
            yield text_request(number)

    try:
        gateway.start()
        engine = engine_at(gateway, max_concurrency=4, try_num=1, max_failure_ratio=1)
        outcomes, usage = answers_of(engine, requests())
        starting.join()
    finally:
        gateway.stop()
    assert len(outcomes) == 60
    assert set(usage.failures) <= REASONS
