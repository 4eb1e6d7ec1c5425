"""The scripts around `train-eval`: planted sets are as they say, and weights in pieces are read as they are."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

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
