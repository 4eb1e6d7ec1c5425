"""Of several runs in one place, the one that has written the export is held against it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mergeit_ops.core.columns import META
from mergeit_ops.dataset import manifest
from mergeit_ops.runs import read_run
from mergeit_ops.runs.inputs import read_input
from mergeit_ops.runs.verification import Verification, verify
from tests.conftest import REPOSITORY
from tests.llm_server import FakeLLMServer, merge_answer
from tests.recipe_runs import copy_of_run, read_jsonl, run_recipe, write_jsonl, write_recipe
from tests.test_whole_runs import pipeline
from tests.thorough import every

FIXED = {"job_id": "again"}


@pytest.fixture
def data(tmp_path, embedded_rows) -> Path:
    return write_jsonl(tmp_path / "in.jsonl", embedded_rows)


@pytest.fixture
def another_process(monkeypatch):
    """Let what follows count as another dj-process."""
    return lambda name: monkeypatch.setattr(manifest, "_RUN_ID", name)


def verified(data: Path, export: Path) -> Verification:
    return verify(read_run(export), read_input(data))


def rejected_by(gamma: float, **gate) -> list[dict]:
    process = pipeline(gamma=gamma)
    process[-1]["quality_gate_filter"] |= gate
    return process


def killed(recipe: Path) -> None:
    """Run a recipe in a process of its own, whose scorer kills it."""
    code = f"from pathlib import Path; from tests.recipe_runs import run_recipe; run_recipe(Path({str(recipe)!r}))"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr[-2000:]


def lose_a_row(export: Path) -> None:
    write_jsonl(export, read_jsonl(export)[1:])


@pytest.mark.parametrize("settings", every(2, [FIXED, {}]), ids=["one work dir", "work dirs side by side"])
def test_a_later_run_that_was_killed_proves_nothing_and_spoils_nothing(tmp_path, data, settings):
    export = copy_of_run(tmp_path, pipeline(gamma=1.4), data, **settings)
    killed(write_recipe(tmp_path, rejected_by(9.0, scorer="tests.user_scorers:Killing"), data, **settings))
    assert len({record["run"] for record in records(export.parent)}) == 2
    found = verified(data, export)
    assert found.holds, [*found.violations, *found.undecided]
    lose_a_row(export)
    assert verified(data, export).holds is False


def records(folder: Path) -> list[dict]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*/mergeit/*.json")]


@pytest.mark.parametrize("settings", every(2, [FIXED, {}]), ids=["one work dir", "work dirs side by side"])
def test_each_of_several_exports_in_one_place_is_held_to_its_own_run(tmp_path, data, another_process, settings):
    exports: dict[str, list[dict]] = {}
    for name, gamma in (("first", 0.1), ("second", 1.4), ("third", 9.0)):
        another_process(name)
        export = run_recipe(write_recipe(tmp_path, pipeline(gamma=gamma), data, **settings))
        (run,) = {record["run"] for record in records(export.parent)} - exports.keys()
        exports[run] = read_jsonl(export)
    for run, rows in exports.items():
        write_jsonl(export, rows)
        found = verified(data, export)
        assert found.holds, [run, *found.violations, *found.undecided]
        assert {record["run"] for record in read_run(export).records.operators} == {run}
        lose_a_row(export)
        assert verified(data, export).holds is False


def test_runs_with_the_same_ids_are_told_apart_by_what_was_merged(tmp_path, data, another_process):
    exports: dict[str, list[dict]] = {}
    for name, more in (("first", " So."), ("second", " Thus.")):
        another_process(name)

        def answer(body: dict, more: str = more) -> str:
            merged = json.loads(merge_answer(body))
            return json.dumps(merged | {"output": merged["output"] + more})

        with FakeLLMServer(answer=answer) as server:
            process = pipeline(server, gamma=0.1, cache_path=None)
            export = run_recipe(write_recipe(tmp_path, process, data, **FIXED))
        (run,) = {record["run"] for record in records(export.parent)} - exports.keys()
        exports[run] = read_jsonl(export)
    assert len({str(sorted(row[META]["row_id"] for row in rows)) for rows in exports.values()}) == 1
    for run, rows in exports.items():
        write_jsonl(export, rows)
        assert {record["run"] for record in read_run(export).records.operators} == {run}
        assert verified(data, export).holds


def test_half_a_record_in_the_same_folder_is_in_nobodys_way(tmp_path, data):
    export = copy_of_run(tmp_path, pipeline(gamma=1.4), data)
    (folder,) = export.parent.glob("*/mergeit")
    (folder / "009_llm_pair_merger_mapper.json").write_text('{"operator": "llm_pair_m', encoding="utf-8")
    assert verified(data, export).holds


@pytest.mark.parametrize("operator", ["llm_pair_merger_mapper", "quality_gate_filter"])
@pytest.mark.parametrize("damage", ["gone", "half", "begun"])
def test_without_a_record_of_its_own_nothing_is_proved(tmp_path, data, operator, damage):
    export = copy_of_run(tmp_path, pipeline(gamma=1.4), data)
    (path,) = export.parent.glob(f"*/mergeit/*{operator}.json")
    text = path.read_text(encoding="utf-8")
    if damage == "gone":
        path.unlink()
    elif damage == "half":
        path.write_text(text[: len(text) // 2], encoding="utf-8")
    else:
        path.write_text(json.dumps(json.loads(text) | {"state": "running"}), encoding="utf-8")
    found = verified(data, export)
    assert found.holds is None, found.violations
    assert any(operator in sentence or "entered the merger" in sentence for sentence in found.undecided)


def test_the_same_recipe_twice_in_one_place(tmp_path, data, another_process):
    for name in ("first", "second"):
        another_process(name)
        export = run_recipe(write_recipe(tmp_path, pipeline(gamma=1.4), data, **FIXED))
    assert verified(data, export).holds


def test_records_of_a_moved_folder_are_found_by_the_name_of_the_export(tmp_path, data, another_process):
    for name, gamma in (("first", 0.1), ("second", 9.0)):
        another_process(name)
        export = run_recipe(write_recipe(tmp_path, pipeline(gamma=gamma), data, **FIXED))
    moved = Path(shutil.move(str(export.parent), str(tmp_path / "moved"))) / export.name
    found = verified(data, moved)
    assert found.holds, [*found.violations, *found.undecided]
    assert {row[META]["merge_status"] for row in read_jsonl(moved)} == {"original", "restored"}
