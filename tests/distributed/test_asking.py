"""Asking a model block by block: what the tasks tell adds up, and what stops one of them stops the work."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pytest

from mergeit_ops.core.merging.replies import FailureReason, ReplyError
from mergeit_ops.dataset.manifest import Manifest
from mergeit_ops.distributed.asking import asked, refuse_batches
from mergeit_ops.distributed.blocks import Blocks, Resources
from mergeit_ops.errors import DiskError, LLMUnavailableError, RecipeError, TooManyFailuresError
from mergeit_ops.jobs.asking import EngineJob
from mergeit_ops.llm.engine import LLMEngine, build_engine
from mergeit_ops.llm.requests import LLMRequest
from mergeit_ops.llm.settings import LLMSettings
from tests.llm_server import FakeLLMServer, Reply, error


def greeting(text):
    if not text.startswith("hello"):
        raise ReplyError(FailureReason.UNPARSABLE)
    return text


@dataclass
class Greeting(EngineJob):
    """Asks for a greeting of each name; a report tells which argument its block had."""

    engine: LLMEngine
    dry_run: bool = False
    may_use_gpu: bool = False
    plan: dict = field(default_factory=dict)
    operator = "op"

    def ask(self, table, own):
        found = {}
        names = table["name"].to_pylist()
        requests = [
            LLMRequest(tag=name, messages=({"role": "user", "content": name},), parse=greeting) for name in names
        ]
        self.engine.run(
            requests,
            lambda one: found.update({one.tag: one.answers[0] if one.error is None else None}),
            more_to_come=True,
        )
        return table.append_column("greeting", pa.array([found[name] for name in names])), own


def job(server, tmp_path, **settings):
    params = {"base_url": server.base_url}
    return Greeting(
        build_engine(LLMSettings(model_params=params, cache_path=str(tmp_path / "a.jsonl"), try_num=1, **settings))
    )


def blocks_of(*names):
    import ray

    return Blocks([ray.put(pa.table({"name": list(part)})) for part in names], [len(part) for part in names])


@pytest.fixture(autouse=True)
def _with_a_key(monkeypatch, ray_cluster):
    monkeypatch.setenv("OPENAI_API_KEY", "none")


def hello(body):
    return f"hello {body['messages'][0]['content']}"


def test_rows_reports_and_figures_of_all_blocks_come_back_in_order(tmp_path):
    manifest = Manifest("op", {})
    with FakeLLMServer(hello) as server:
        made, told = asked(blocks_of("ab", "c", "def"), job(server, tmp_path), Resources(), manifest, each=[1, 2, 3])
        paid = Counter(server.base_url for _ in server.requests)
    rows = made.dataset().take_all()
    assert [row["greeting"] for row in rows] == [f"hello {name}" for name in "abcdef"]
    assert told == [1, 2, 3]
    assert manifest.figures["calls"] == manifest.details["usage"]["requests"] == sum(paid.values()) == 6


def test_a_second_run_pays_nothing(tmp_path):
    with FakeLLMServer(hello) as server:
        first, _ = asked(blocks_of("ab", "c"), job(server, tmp_path), Resources(), Manifest("op", {}))
        count = len(server.requests)
        # Other blocks: the journal is one for all tasks.
        again, _ = asked(blocks_of("c", "ab"), job(server, tmp_path), Resources(), Manifest("op", {}))
        assert len(server.requests) == count == 3
    assert {row["name"]: row for row in again.dataset().take_all()} == {
        row["name"]: row for row in first.dataset().take_all()
    }


def test_a_server_that_refuses_the_key_stops_the_work_and_what_was_asked_is_on_record(tmp_path):
    manifest = Manifest("op", {})
    with (
        FakeLLMServer(lambda body: error(401, "no such key")) as server,
        pytest.raises(LLMUnavailableError, match="no such key"),
    ):
        asked(blocks_of("a", "b", "c"), job(server, tmp_path), Resources(), manifest)
    assert manifest.details["usage"]["requests"] >= 1


def test_a_block_that_has_to_stop_stops_the_others_and_all_that_was_paid_is_on_record(tmp_path):
    manifest = Manifest("op", {})

    def answer(body):
        name = body["messages"][0]["content"]
        if name.startswith("bad"):
            return error(402, "no credit")
        return Reply(hello(body), latency_s=0.05)

    # The second block would take ten seconds.
    many = [f"n{number}" for number in range(400)]
    with FakeLLMServer(answer) as server:
        blocks = blocks_of(["x", *(f"bad{number}" for number in range(8))], many)
        with pytest.raises(LLMUnavailableError, match="no credit"):
            asked(blocks, job(server, tmp_path, max_concurrency=2), Resources(), manifest)
        number = len(server.requests)
        assert number < 200
        assert manifest.figures["calls"] == number


class FailsAfterwards(Greeting):
    """Finds the disk full when it has asked about a block with the name `bad`."""

    def ask(self, table, own):
        made = super().ask(table, own)
        if "bad" in table["name"].to_pylist():
            raise DiskError("the disk is full")
        return made


def test_a_block_that_fails_for_another_reason_stops_the_others_too(tmp_path):
    manifest = Manifest("op", {})
    many = [f"n{number}" for number in range(400)]
    with FakeLLMServer(lambda body: Reply(hello(body), latency_s=0.05)) as server:
        whole = FailsAfterwards(job(server, tmp_path, max_concurrency=2).engine)
        with pytest.raises(DiskError, match="the disk is full"):
            asked(blocks_of(["a", "bad"], many), whole, Resources(), manifest)
        number = len(server.requests)
        assert number < 200
        assert manifest.figures["calls"] == number


def test_failures_of_all_blocks_are_judged_together(tmp_path):
    names = [f"{part}{number}" for part in "abc" for number in range(9)]

    def answer(body):
        name = body["messages"][0]["content"]
        return "no" if name[1] > "2" else hello(body)

    with FakeLLMServer(answer) as server:
        # Each block alone has too few requests to be judged.
        blocks = blocks_of(names[:9], names[9:18], names[18:])
        with pytest.raises(TooManyFailuresError, match="unparsable"):
            asked(blocks, job(server, tmp_path, max_failure_ratio=0.5), Resources(), Manifest("op", {}))
        made, _ = asked(blocks, job(server, tmp_path, max_failure_ratio=1.0), Resources(), Manifest("op", {}))
    assert [row["greeting"] is None for row in made.dataset().take_all()] == [name[1] > "2" for name in names]


def wait_for(condition):
    until = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


@dataclass
class Together(Greeting):
    """Asks about a block when the other one is there too."""

    folder: Path = Path()

    def ask(self, table, own):
        (self.folder / f"block {own}").touch()
        wait_for(lambda: len(list(self.folder.glob("block *"))) == 2)
        return super().ask(table, own)


def greetings(made):
    return [row["greeting"] for row in made.dataset().take_all()]


def test_equal_questions_in_two_blocks_at_the_same_moment_are_paid_once(tmp_path):
    names = [f"n{number}" for number in range(12)]
    manifest = Manifest("op", {})
    with FakeLLMServer(hello, latency_s=0.1) as server:
        # With one place, a block that waited for the other in this place would never end.
        engine = job(server, tmp_path, max_concurrency=1).engine
        blocks = blocks_of([*names, "x"], ["y", *names])
        made, _ = asked(blocks, Together(engine, folder=tmp_path), Resources(), manifest, each=[1, 2])
    paid = Counter(request["messages"][0]["content"] for request in server.requests)
    assert paid == dict.fromkeys([*names, "x", "y"], 1)
    assert greetings(made) == [f"hello {name}" for name in [*names, "x", "y", *names]]
    assert (manifest.figures["calls"], manifest.figures["cache_hits"]) == (14, 12)


def test_if_a_request_fails_another_block_with_the_same_question_asks_after_it(tmp_path):
    asked_at = []

    def answer(body):
        if body["messages"][0]["content"] != "bad":
            return hello(body)
        asked_at.append(time.monotonic())
        return Reply("hello bad", status=400 if len(asked_at) == 1 else 200, latency_s=0.5)

    with FakeLLMServer(answer) as server:
        engine = job(server, tmp_path, max_failure_ratio=1.0).engine
        blocks = blocks_of(["a", "bad"], ["a", "bad"])
        made, _ = asked(blocks, Together(engine, folder=tmp_path), Resources(), Manifest("op", {}), each=[1, 2])
    assert Counter(greetings(made)) == {"hello a": 2, "hello bad": 1, None: 1}
    first, second = asked_at
    assert second - first >= 0.5


@dataclass
class KilledOnce(Greeting):
    """The first worker that asks about the first block dies while the second block waits for its answer."""

    folder: Path = Path()

    def ask(self, table, own):
        was_asked, began = self.folder / "asked", self.folder / f"began {own}"
        if own == 1 and not began.exists():
            began.touch()
            threading.Thread(target=self.die, daemon=True).start()
        elif own == 2:
            wait_for(was_asked.exists)
            began.touch()
        return super().ask(table, own)

    def die(self):
        wait_for((self.folder / "began 2").exists)
        time.sleep(1)
        (self.folder / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)


def test_nobody_waits_for_the_answer_of_a_worker_that_has_died(tmp_path):
    after_its_death = []

    def answer(body):
        after_its_death.append((tmp_path / "killed").exists())
        (tmp_path / "asked").touch()
        return Reply(hello(body), latency_s=60 if len(after_its_death) == 1 else 0)

    with FakeLLMServer(answer) as server:
        engine = job(server, tmp_path, max_concurrency=1).engine
        start = time.monotonic()
        made, _ = asked(
            blocks_of(["a"], ["a"]), KilledOnce(engine, folder=tmp_path), Resources(), Manifest("op", {}), each=[1, 2]
        )
        assert time.monotonic() - start < 50
    assert greetings(made) == ["hello a"] * 2
    # The lost request, and one for both blocks.
    assert after_its_death == [False, True]


def test_batches_are_refused_before_any_task_starts():
    engines = [build_engine(LLMSettings(api_mode="batch"))]
    with pytest.raises(RecipeError, match=r"^op: api_mode: batch does not run on Ray\. .*executor_type: default"):
        refuse_batches("op", engines)
    refuse_batches("op", [build_engine(LLMSettings())])
