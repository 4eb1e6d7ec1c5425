"""The GPU benchmark on a CPU: its figures, its time limit, and parts that cannot be measured."""

from __future__ import annotations

import importlib
import json
import sys
import time

import pytest

from tests.conftest import REPOSITORY

BENCHMARKS = REPOSITORY / "benchmarks"
SMALL = {
    "vocab_size": 8_000,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


@pytest.fixture(scope="module")
def gpu():
    """The benchmark script, imported like its neighbours by plain names."""
    names = [path.stem for path in BENCHMARKS.glob("*.py")]
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("gpu")
    sys.path.remove(str(BENCHMARKS))
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def kinds(gpu):
    return importlib.import_module("gpu_sides").KINDS


def sides(**ways):
    from gpu_sides import Sides

    return lambda folder, device: Sides(range(100), sum, ways)


def run_part(gpu, tmp_path, name: str, seconds: float = 0) -> dict:
    output = tmp_path / f"{name}.json"
    gpu.run_part(name, tmp_path, "cpu", time.time() + seconds, output)
    return json.loads(output.read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", ["embedding", "losses", "merging", "deita"])
def test_both_sides_do_the_same_work(gpu, kind, tmp_path, monkeypatch):
    monkeypatch.setitem(importlib.import_module("local_llm").SHAPES, "small", SMALL)
    part = run_part(gpu, tmp_path, kind if kind == "embedding" else f"{kind}_small")
    assert part["status"] == "ok", part["why"]
    assert part["rows"] == 2
    ours, plain = part["ours"], part["plain"]
    assert ours["ratio"] == pytest.approx(plain["seconds"] / ours["seconds"], rel=0.1)
    assert ours["tokens_per_second"] == pytest.approx(part["tokens"] / ours["seconds"], rel=0.1)
    if kind == "embedding":
        assert part["ours_float32"]["lowest_cosine"] == pytest.approx(1, abs=1e-5)
    elif kind != "merging":
        # In bfloat16.
        assert ours["largest_difference"] < 0.05


def test_more_rows_are_taken_as_long_as_they_fit(gpu, kinds, tmp_path, monkeypatch):
    def each(seconds):
        return lambda rows: time.sleep(seconds * len(rows))

    monkeypatch.setitem(kinds, "sleep", sides(plain=each(0.02), ours=each(0.01)))
    begun = time.time()
    part = run_part(gpu, tmp_path, "sleep", 2)
    # 0.03 s for a row of both.
    assert 8 <= part["rows"] <= 33
    assert time.time() - begun < 4
    assert part["runs"] > 1
    assert part["tokens"] == sum(range(part["rows"]))
    assert part["ours"]["ratio"] == pytest.approx(2, rel=0.5)


def test_memory_that_runs_out_ends_a_part_that_keeps_its_figures(gpu, kinds, tmp_path, monkeypatch):
    def greedy(rows):
        if len(rows) > 2:
            raise RuntimeError("no way") from MemoryError()
        time.sleep(0.001)

    monkeypatch.setitem(kinds, "greedy", sides(plain=lambda rows: time.sleep(0.001), ours=greedy))
    part = run_part(gpu, tmp_path, "greedy", 10)
    assert part["status"] == "out_of_memory"
    assert part["rows"] == 2


def test_what_fails_says_why(gpu, tmp_path):
    part = run_part(gpu, tmp_path, "losses_9000b")
    assert part["status"] == "failed"
    assert part["why"] == "KeyError: '9000b'"


def test_parts_without_time_are_told_and_the_others_go_on(gpu, tmp_path, capsys):
    output = tmp_path / "new" / "gpu.json"
    gpu.measure_all("tiny", "cpu", 3, output, ["embedding", "deita_tiny"])
    report = json.loads(output.read_text(encoding="utf-8"))
    statuses = {name: part["status"] for name, part in report["parts"].items()}
    assert statuses == {
        "embedding": "out_of_time",
        "losses_tiny": "not_run",
        "merging_tiny": "not_run",
        "deita_tiny": "out_of_time",
    }
    assert report["libraries"]["torch"]
    assert "deita_tiny: out_of_time (it had " in capsys.readouterr().out
