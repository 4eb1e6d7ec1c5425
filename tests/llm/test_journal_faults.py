"""The journal under faults: killed processes, several at once, full disks, damaged files, places without permission."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.llm.journal import Journal
from tests.conftest import REPOSITORY
from tests.llm.conftest import answers_of, engine_for, merge_requests
from tests.llm_server import FakeLLMServer, Reply, merge_answer
from tests.recipe_runs import run_recipe, write_jsonl, write_recipe

CONCURRENCY = 8
REQUESTS = 300

CHILD = """
import json, random, resource, sys
from tests.llm.conftest import engine_for, merge_request
url, file, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
if "file_size" in settings:
    resource.setrlimit(resource.RLIMIT_FSIZE, (settings["file_size"], settings["file_size"]))
numbers = list(range(*settings["numbers"]))
random.Random(settings.get("order")).shuffle(numbers)
engine = engine_for(url, cache_path=file, max_concurrency=settings["concurrency"])
answered = []
usage = engine.run(map(merge_request, numbers), lambda outcome: answered.append(outcome.tag) if outcome.answers else 0)
print(json.dumps([sorted(answered) == sorted(numbers), usage.as_dict()]))
"""


def start(url: str, file: Path, **settings: Any) -> subprocess.Popen[str]:
    settings = {"numbers": [0, REQUESTS], "concurrency": CONCURRENCY} | settings
    command = [sys.executable, "-c", CHILD, url, str(file), json.dumps(settings)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end_of(child: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    """Return the usage and the log of a child that has answered everything."""
    out, log = child.communicate(timeout=120)
    assert child.returncode == 0, log
    complete, usage = json.loads(out)
    assert complete
    return usage, log


def times_asked(server: FakeLLMServer) -> Counter[str]:
    return Counter(body["messages"][-1]["content"] for body in server.requests)


def assert_intact(file: Path) -> None:
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    said: list[str] = []
    sink = logger.add(said.append, level="WARNING", format="{message}")
    yield said
    logger.remove(sink)


MOMENTS = [pytest.param(seed, id=f"moment {seed}", marks=[pytest.mark.slow] if seed >= 2 else []) for seed in range(10)]


@pytest.mark.parametrize("seed", MOMENTS)
def test_a_process_killed_at_any_moment_costs_what_was_in_flight_and_no_request(seed, tmp_path):
    draw = random.Random(seed)
    at = draw.randrange(2, REQUESTS - 1)
    reached = threading.Event()

    def answer(body: dict[str, Any]) -> str:
        if len(server.requests) == at:
            reached.set()
        return merge_answer(body)

    with FakeLLMServer(answer, latency_s=0.01) as server:
        child = start(server.base_url, tmp_path / "a.db")
        assert reached.wait(60)
        time.sleep(draw.uniform(0, 0.02))
        child.kill()
        child.communicate()
        assert child.returncode == -signal.SIGKILL
        assert set(times_asked(server).values()) == {1}
        server.latency_s = 0.0
        outcomes, usage = answers_of(engine_for(server, cache_path=tmp_path / "a.db"), merge_requests(REQUESTS))
        asked = times_asked(server)
    assert all(outcome.answers for outcome in outcomes.values())
    assert len(outcomes) == len(asked) == REQUESTS
    assert max(asked.values()) <= 2
    repeats = sum(asked.values()) - REQUESTS
    assert repeats <= CONCURRENCY
    assert usage.cache_hits >= at - CONCURRENCY
    assert_intact(tmp_path / "a.db")


def test_three_processes_share_a_file_and_a_fourth_run_pays_nothing(tmp_path):
    file = tmp_path / "a.db"
    ranges = [[0, 200], [100, 300], [50, 250]]
    with FakeLLMServer(latency_s=0.005) as server:
        children = [start(server.base_url, file, numbers=numbers, order=numbers[0]) for numbers in ranges]
        usages = [end_of(child)[0] for child in children]
        calls = len(server.requests)
        _, again = answers_of(engine_for(server, cache_path=file), merge_requests(300))
    assert [usage["failures"] for usage in usages] == [{}, {}, {}]
    assert [usage["cache_write_failures"] for usage in usages] == [0, 0, 0]
    assert sum(usage["calls"] for usage in usages) == calls
    # Only what two of them ask at the same moment is asked twice.
    assert 300 <= calls <= 300 + 3 * 2 * CONCURRENCY * 2
    assert again.calls == 0
    assert_intact(file)


def test_a_full_disk_costs_no_answer_and_is_counted_and_said(tmp_path):
    """The operating system itself refuses to let the files grow."""
    file = tmp_path / "a.db"
    long = Reply(json.dumps({"instruction": "Explain and list.", "input": "", "output": "x" * 4_000}))
    with FakeLLMServer(lambda body: long) as server:
        usage, log = end_of(start(server.base_url, file, numbers=[0, 100], file_size=150_000))
        assert (usage["answered"], usage["calls"]) == (100, 100)
        lost = usage["cache_write_failures"]
        assert 50 < lost < 100
        assert log.count("cannot be used") == 1
        assert "paid for again" in log
        _, again = answers_of(engine_for(server, cache_path=file), merge_requests(100))
    assert (again.calls, again.cache_hits) == (lost, 100 - lost)
    assert_intact(file)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a file system")
def test_a_file_system_without_space_costs_no_answer(tmp_path, warnings):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(tmp_path)], check=False)
    if mounted.returncode:
        pytest.skip("this machine mounts nothing")
    try:
        with FakeLLMServer() as server:
            outcomes, usage = answers_of(engine_for(server, cache_path=tmp_path / "a.db"), merge_requests(400))
        assert all(outcome.answers for outcome in outcomes.values())
        assert 0 < usage.cache_write_failures < 400
        assert len(warnings) == 1
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_whole_run_tells_how_many_answers_could_not_be_kept(tmp_path, embedded_rows):
    process = [{"topic_cluster_grouper": {"num_clusters": 5}}]
    said: list[str] = []
    sink = logger.add(said.append, format="{message}")
    with FakeLLMServer() as server:
        merger = {"similarity_threshold": 0.4, "model_params": {"base_url": server.base_url}}
        process.append({"llm_pair_merger_mapper": {**merger, "cache_path": "/proc/nowhere/answers.sqlite3"}})
        recipe = write_recipe(tmp_path, process, write_jsonl(tmp_path / "in.jsonl", embedded_rows))
        export = run_recipe(recipe)
        asked = len(server.requests)
    logger.remove(sink)
    (work_dir,) = (path.parent for path in export.parent.glob("*/mergeit"))
    (record,) = (each for each in read_manifests(work_dir) if "usage" in each)
    assert asked == record["figures"]["merged"] == record["usage"]["cache_write_failures"] > 20
    assert f"cache write failures {asked}" in [line for line in said if "MergeIT summary" in line][-1]
    assert len([line for line in said if "cannot be used" in line]) == 1


def filled(file: Path, server: FakeLLMServer, *, in_log: bool) -> None:
    """Leave a journal with 40 answers: in the file, or in the log beside it, where a killed process leaves them."""
    whole = file.with_name("whole.db")
    answers_of(engine_for(server, cache_path=whole), merge_requests(10 if in_log else 40))
    with Journal(whole) as journal:
        if in_log:
            answers_of(engine_for(server, cache_path=whole), merge_requests(40))
        journal.put("one more", "x")
        if in_log:
            for suffix in ("", "-wal", "-shm"):
                shutil.copy(f"{whole}{suffix}", f"{file}{suffix}")
    if not in_log:
        shutil.copy(whole, file)


def cut(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def scramble(path: Path, beginning: int) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:beginning] + random.Random(0).randbytes(len(content) - beginning))


DAMAGES: dict[str, Callable[[Path], None]] = {
    "none": lambda file: None,
    "none, with a log": lambda file: None,
    "cut in the middle": lambda file: cut(file, 0.5),
    "cut within a page": lambda file: cut(file, 0.77),
    "cut to nothing": lambda file: cut(file, 0.0),
    "cut in its head": lambda file: file.write_bytes(file.read_bytes()[:50]),
    "scrambled": lambda file: scramble(file, 0),
    "scrambled after its head": lambda file: scramble(file, 100),
    "another file": lambda file: file.write_text('{"instruction": "a"}\n' * 1_000),
    "a cut log": lambda file: cut(Path(f"{file}-wal"), 0.6),
    "a scrambled log": lambda file: scramble(Path(f"{file}-wal"), 0),
    "no log": lambda file: Path(f"{file}-wal").unlink(),
    "a log without its file": lambda file: file.unlink(),
    "a log of another file": lambda file: shutil.copy(file.with_name("whole.db"), file),
    "a scrambled index": lambda file: scramble(Path(f"{file}-shm"), 0),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_stops_no_run_and_answers_are_kept_again(damage, tmp_path):
    file = tmp_path / "a.db"
    with FakeLLMServer() as server:
        filled(file, server, in_log=any(word in damage for word in ("log", "index")))
        DAMAGES[damage](file)
        outcomes, usage = answers_of(engine_for(server, cache_path=file), merge_requests(60))
        _, again = answers_of(engine_for(server, cache_path=file), merge_requests(60))
        _, third = answers_of(engine_for(server, cache_path=file), merge_requests(60))
    assert all(outcome.answers for outcome in outcomes.values())
    assert usage.calls + usage.cache_hits == 60
    assert usage.cache_write_failures == 0
    # A file in which the damage is found late takes a few answers with it when it is set aside.
    assert again.calls <= 20
    assert third.calls == 0
    if damage in ("none", "none, with a log", "a scrambled index"):
        assert usage.calls == 20
    assert_intact(file)


def test_a_database_of_somebody_else_is_left_as_it_is(tmp_path, warnings):
    file = tmp_path / "a.db"
    connection = sqlite3.connect(file)
    connection.executescript("CREATE TABLE answers (question, reply); INSERT INTO answers VALUES ('a', 'b')")
    with FakeLLMServer() as server:
        outcomes, usage = answers_of(engine_for(server, cache_path=file), merge_requests(5))
    assert all(outcome.answers for outcome in outcomes.values())
    assert usage.cache_write_failures == 5
    assert len(warnings) == 1
    assert connection.execute("SELECT * FROM answers").fetchall() == [("a", "b")]
    connection.close()


@pytest.fixture
def a_place_for_all() -> Iterator[Path]:
    """A folder that every user can reach; the test's own is for its user only."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def an_ordinary_user() -> Iterator[None]:
    """Root may write everywhere: for such a test it is somebody else."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.mark.parametrize("mode", [0o555, 0o000])
@pytest.mark.parametrize("there", [True, False])
def test_a_place_that_may_not_be_written_stops_no_run(mode, there, a_place_for_all, warnings, request):
    folder = a_place_for_all / "closed"
    folder.mkdir()
    with FakeLLMServer() as server:
        if there:
            filled(folder / "a.db", server, in_log=False)
        folder.chmod(mode)
        request.getfixturevalue("an_ordinary_user")
        engine = engine_for(server, cache_path=folder / "a.db")
        assert engine.plan(merge_requests(5))["requests"] == 5
        outcomes, usage = answers_of(engine, merge_requests(5))
    assert all(outcome.answers for outcome in outcomes.values())
    assert usage.calls + usage.cache_hits == 5
    assert usage.cache_write_failures == usage.calls
    assert all("cannot be used" in text and "paid for again" in text for text in warnings)
    assert bool(warnings) == bool(usage.calls)


@pytest.mark.parametrize(
    "place", ["a folder", "a file/a.db", "x" * 300, "~nobody-of-this-name/a.db", "missing/deep/a.db"]
)
def test_any_place_will_do(place, tmp_path, monkeypatch, warnings):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a file").write_text("x")
    with FakeLLMServer() as server:
        engine = engine_for(server, cache_path=place)
        assert engine.plan(merge_requests(3))["calls"] == 3
        outcomes, usage = answers_of(engine, merge_requests(3))
        _, again = answers_of(engine_for(server, cache_path=place), merge_requests(3))
    assert all(outcome.answers for outcome in outcomes.values())
    usable = place in ("a folder", "missing/deep/a.db", "~nobody-of-this-name/a.db")
    assert again.calls == (0 if usable else 3)
    assert usage.cache_write_failures == (0 if usable else 3)
    assert bool(warnings) != usable


def test_only_good_answers_are_kept(tmp_path):
    bad: list[Any] = [
        Reply(None, refusal="I will not."),
        Reply(status=400),
        Reply(status=500),
        "nonsense",
        Reply("{}", finish_reason="length"),
        Reply(payload={"choices": []}),
    ]

    def answer(body: dict[str, Any]) -> Any:
        number = int(body["messages"][-1]["content"].split("Explain item ")[1].split(".")[0])
        return bad[number // 2 % len(bad)] if number % 2 else merge_answer(body)

    with FakeLLMServer(answer) as server:
        _, usage = answers_of(engine_for(server, cache_path=tmp_path / "a.db"), merge_requests(40))
        assert (usage.answered, sum(usage.failures.values())) == (20, 20)
        server.answer = merge_answer
        server.requests.clear()
        outcomes, usage = answers_of(engine_for(server, cache_path=tmp_path / "a.db"), merge_requests(40))
        asked = [text.split("Explain item ")[1].split(".")[0] for text in times_asked(server)]
    assert (usage.calls, usage.cache_hits) == (20, 20)
    assert all(int(number) % 2 for number in asked)
    assert all(outcome.answers for outcome in outcomes.values())
