"""Runs of ablations and baselines: each exports the requested number of rows, with the promised properties."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from data_juicer.ops import load_ops

from mergeit_ops.core.columns import EMBEDDING, META, STATS
from mergeit_ops.core.merging.pairing import find_groups
from scripts import run_ablations
from tests import tiny_models
from tests.conftest import REPOSITORY, SAMPLE
from tests.llm_server import FakeLLMServer
from tests.recipe_runs import make_dataset, read_jsonl

BUDGET = 30


@pytest.fixture(scope="module")
def server():
    with FakeLLMServer() as running:
        yield running


def operators_of(name: str, server: FakeLLMServer) -> list:
    """The operators of a recipe after the cleaning, at a small budget, with the test's own server and model."""
    text = (run_ablations.FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    process = yaml.safe_load(text)["process"][4:]
    flags = run_ablations.overrides(name, BUDGET, 0.25)
    numbers = dict(zip(flags[::2], flags[1::2], strict=True))
    own = {
        run_ablations.MERGER: {"model_params": {"base_url": server.base_url}, "cache_path": None},
    }
    made = []
    for entry in process:
        ((operator, parameters),) = entry.items()
        parameters = {**(parameters or {}), **own.get(operator, {})}
        if operator == run_ablations.MODEL:
            parameters["scorer_params"] |= {"hf_model": tiny_models.gpt2_folder()}
        flag = f"--{operator}.select_num"
        if flag in numbers:
            parameters["select_num"] = int(numbers[flag])
        made.append({operator: parameters})
    return load_ops(made)


def run_in_process(name: str, server: FakeLLMServer, rows: list[dict]) -> list[dict]:
    dataset = make_dataset(rows)
    for operator in operators_of(name, server):
        dataset = operator.run(dataset)
    return dataset.to_list()


@pytest.mark.parametrize("name", run_ablations.recipes())
def test_every_recipe_gives_the_budget_and_each_row_once(name, server, embedded_rows):
    rows = run_in_process(name, server, embedded_rows)
    assert len(rows) == BUDGET
    by_id = {row["id"]: row for row in embedded_rows}
    unmerged = [row for row in rows if (row.get(META) or {}).get("merge_status") != "merged"]
    assert len({row["id"] for row in unmerged}) == len(unmerged)
    for row in unmerged:
        before = {column: value for column, value in by_id[row["id"]].items() if column != EMBEDDING}
        assert {column: row[column] for column in before} == before


def test_merging_recipes_merge_and_the_others_do_not(server, embedded_rows):
    def merged(name: str) -> int:
        rows = run_in_process(name, server, embedded_rows)
        return sum((row.get(META) or {}).get("merge_status") == "merged" for row in rows)

    assert merged("random_pairs") > 0
    assert merged("no_merging") == 0


def test_the_longest_instructions_are_kept_in_the_order_of_the_input(server):
    lengths = [37 * number % 101 + 1 for number in range(100)]
    rows = [
        {"id": str(n), "instruction": " ".join(["word"] * n), "input": "", "output": "long " * 200} for n in lengths
    ]
    kept = [int(row["id"]) for row in run_in_process("instruction_length", server, rows)]
    assert kept == [number for number in lengths if number in sorted(lengths)[-BUDGET:]]


def test_superfiltering_keeps_the_highest_ratios_below_one(server, embedded_rows):
    rows = run_in_process("superfiltering", server, embedded_rows)
    assert all(0 < row[STATS]["ifd"] < 1 for row in rows)


def test_selections_are_larger_where_merging_takes_rows_away():
    numbers = run_ablations.overrides("full", 1000, 0.25)
    assert numbers == ["--facility_location_selector.select_num", "1250", "--budget_selector.select_num", "1000"]
    assert "1250" not in run_ablations.overrides("no_merging", 1000, 0.25)
    assert run_ablations.overrides("random", 1000, 0.25) == ["--budget_selector.select_num", "1000"]


def test_random_pairs_are_about_as_many_as_the_full_methods():
    sizes = [31, 12, 7, 44, 25]
    record = {"operator": run_ablations.MERGER, "figures": {"pairs": 20, "topics": 5, "rows_in": sum(sizes)}}
    ratio = run_ablations.matched_ratio([record])
    pairs = sum(len(find_groups(np.eye(size, dtype=np.float32), 0.5, "random", merge_ratio=ratio)) for size in sizes)
    assert abs(pairs - 20) <= 1
    assert run_ablations.matched_ratio([]) is None


def test_what_cannot_run_is_left_out_with_a_sentence():
    assert "OPENAI_BASE_URL" in run_ablations.obstacle("full", None, {})
    assert run_ablations.obstacle("full", None, {"OPENAI_API_KEY": "x"}) == ""
    assert run_ablations.obstacle("concat", None, {}) == ""
    assert "--hf-model" in run_ablations.obstacle("superfiltering", None, {})
    assert run_ablations.obstacle("superfiltering", "gpt2", {}) == ""


def run_command(tmp_path, names: list[str], *more: str) -> list[dict]:
    arguments = [str(SAMPLE), "--budget", "100", "--output", str(tmp_path), "--only", *names, *more]
    assert run_ablations.main(arguments) == 0
    return json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))


def test_one_command_runs_what_can_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    results = {found["recipe"]: found for found in run_command(tmp_path, ["full", "superfiltering", "random"])}
    assert results["random"]["rows"] == 100
    assert len(read_jsonl(tmp_path / "random" / "random.jsonl")) == 100
    assert results["full"]["rows"] is None
    assert "needs a server" in results["full"]["note"]
    assert "| random | 100 | – | – |" in capsys.readouterr().out


@pytest.mark.slow
def test_one_command_runs_all(tmp_path, monkeypatch, server):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    results = run_command(tmp_path, run_ablations.recipes(), "--hf-model", tiny_models.gpt2_folder(), "--more", "2")
    assert {found["recipe"]: found["rows"] for found in results} == dict.fromkeys(run_ablations.recipes(), 100)
    merges = {found["recipe"]: found["pairs"] for found in results}
    assert merges["full"] > 5
    assert abs(merges["random_pairs"] - merges["full"]) <= 6
