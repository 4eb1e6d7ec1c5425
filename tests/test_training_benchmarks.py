"""The scripts around `train-eval`: sets are as described, sharded weights are read, and evidence.py continues runs."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections import Counter

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.recipe_runs import write_jsonl
from tests.training.tiny_experiment import rows, student_folder

BENCHMARKS = REPOSITORY / "benchmarks"


def script(name, *arguments):
    command = [sys.executable, str(BENCHMARKS / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def planted(tmp_path):
    own = [row | {"output": f"{row['output']} {number}"} for number, row in enumerate(rows(220))]
    off = [{"instruction": f"other {number}", "input": "", "output": "x"} for number in range(150)]
    folder = tmp_path / "sets"
    paths = [write_jsonl(tmp_path / f"{name}.jsonl", content) for name, content in (("rows", own), ("off", off))]
    script("planted_sets.py", *paths, folder, "--heldout", 20, "--answer-tokens", 60)
    return folder


def test_sets_hold_what_is_planted(tmp_path):
    folder = planted(tmp_path)
    pool, held_out = read(folder / "pool.jsonl"), read(folder / "heldout.jsonl")
    assert (len(pool), len(held_out)) == (200, 20)
    for percent in (10, 25, 50):
        swapped = read(folder / f"swapped_{percent}.jsonl")
        assert sum(row != own for row, own in zip(swapped, pool, strict=True)) == 2 * percent
        assert Counter(row["output"] for row in swapped) == Counter(row["output"] for row in pool)
    copies = Counter(json.dumps(row) for row in read(folder / "copies.jsonl"))
    assert set(copies.values()) == {4}
    assert sum(row["instruction"].startswith("other") for row in read(folder / "off_topic.jsonl")) == 100


@pytest.mark.slow
def test_weights_in_pieces_are_trained(tmp_path):
    pieces, output = tmp_path / "pieces", tmp_path / "output"
    script("train_eval_gpu.py", "pieces", student_folder(), pieces)
    options = ("--device", "cpu", "--draws", 1, "--answer-tokens", 40, "--layers", "1", "--max-length", "100")
    script("train_eval_gpu.py", "run", pieces, planted(tmp_path), "--output", output, *options)
    figures = json.loads((output / "figures.json").read_text(encoding="utf-8"))
    assert {one["name"] for one in figures["sets"]} == {
        *(f"swapped_{percent}.jsonl" for percent in (10, 25, 50)),
        "copies.jsonl",
        "off_topic.jsonl",
    }
    assert json.loads((output / "machine.json").read_text(encoding="utf-8"))["status"] == 0
    assert (output / "page.html").stat().st_size > 1e6


@pytest.fixture
def evidence_sets(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("evidence_sets")


def test_pools_share_no_rows_and_do_not_depend_on_the_order_of_the_file(evidence_sets):
    given = [{"instruction": f"ask {number}", "input": "", "output": "x"} for number in range(100)]
    held_out, pools = evidence_sets.split(given, 10, 3, 25)
    every = [row["instruction"] for part in (held_out, *pools) for row in part]
    assert ([len(pool) for pool in pools], len(every), len(set(every))) == ([25] * 3, 85, 85)
    # A copy that differs only in case has the same question.
    again = evidence_sets.split([*given[::-1], given[0] | {"instruction": "ASK  0"}], 10, 3, 25)
    asked = [[evidence_sets.question(row) for row in part] for part in (again[0], *again[1])]
    assert asked == [[evidence_sets.question(row) for row in part] for part in (held_out, *pools)]


def test_merges_are_beside_rows_that_are_none_and_neither_asks_what_is_held_out(evidence_sets, tmp_path):
    release = [
        {"instruction": f"{kind} {number}", "input": "", "output": "x" * (number + 1), "kind": kind}
        for kind, count in (("merged", 12), ("original", 60))
        for number in range(count)
    ]
    others = [row | {"instruction": row["instruction"].upper()} for row in release[:40]]
    others += [{"instruction": f"other {number}", "input": "", "output": "y"} for number in range(30)]
    paths = [write_jsonl(tmp_path / name, content) for name, content in (("r.jsonl", release), ("o.jsonl", others))]
    evidence_sets.write_merges(*paths, tmp_path / "merges", 3)
    assert all(row["instruction"].startswith("other") for row in read(tmp_path / "merges" / "heldout.jsonl"))
    for number in (1, 2, 3):
        pool, merged, longest = (
            read(tmp_path / "merges" / f"{name}" / f"{number}.jsonl")
            for name in ("pools", "sets/merged", "sets/longest")
        )
        assert {row["instruction"].split()[0] for row in pool} == {"original"}
        assert {row["instruction"].split()[0] for row in merged} == {"merged"}
        lengths = sorted((len(row["output"]) for row in pool), reverse=True)
        assert [len(row["output"]) for row in longest] == lengths[: len(merged)]


def test_methods_override_what_their_recipes_have(evidence_sets):
    for name, method in evidence_sets.METHODS.items():
        recipe = yaml.safe_load((REPOSITORY / method.recipe).read_text(encoding="utf-8"))
        operators = {operator for step in recipe["process"] for operator in step}
        assert {option[2:].split(".")[0] for option in method.overrides[::2]} <= operators, name


@pytest.mark.slow
def test_evidence_is_gone_on_with_and_told(tmp_path):
    folder = tmp_path / "selection"
    for kind in ("pools", "sets/a", "sets/b"):
        (folder / kind).mkdir(parents=True)
        for number in (1, 2):
            given = {"pools": slice(None), "sets/a": slice(12), "sets/b": slice(12, 30)}[kind]
            write_jsonl(folder / kind / f"{number}.jsonl", rows(60, seed=number)[given])
    write_jsonl(folder / "heldout.jsonl", rows(15, seed=9))
    options = (tmp_path, "--student", student_folder(), "--experiments", "selection", "--answer-tokens", 60)

    def trainings():
        return sum(line["kind"] == "run" for line in read(tmp_path / "results.jsonl"))

    assert "sets/a" in script("evidence.py", "commands", *options, "--pools", 2)
    script("evidence.py", "run", *options, "--pools", 1, "--methods", "a")
    assert trainings() == 1 + 4
    told = script("evidence.py", "table", *options, "--pools", 2)
    assert "| a | 1 |" in told
    assert "one pool: no interval yet" in told
    assert "| b |" not in told
    script("evidence.py", "run", *options, "--pools", 2)
    assert trainings() == 1 + 2 * 5
    told = script("evidence.py", "table", *options, "--pools", 2)
    assert "| b | 2 |" in told
    assert " to " in told
