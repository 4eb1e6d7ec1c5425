"""The records of a run: started and completed in the order of the recipe, separate for each run, never in the way."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mergeit_ops.dataset.manifest import Manifest, log_summary, read_manifests, recorded
from mergeit_ops.dataset.record_files import MANIFEST_DIR
from mergeit_ops.errors import DatasetError
from mergeit_ops.report.sections.funnel import funnel
from mergeit_ops.report.surveyed_run import survey_run
from mergeit_ops.runs import read_run
from mergeit_ops.runs.inputs import read_input
from mergeit_ops.runs.verification import verify
from tests.recipe_runs import run_recipe, run_recipe_apart, run_recipe_on_ray, work_dir_of, write_jsonl, write_recipe

GATE = {"quality_gate_filter": {"scorer": "tests.user_scorers:ByLength", "gamma": 1.4, "reference": "max"}}
BOUNDED = {"quality_gate_filter": {**GATE["quality_gate_filter"], "min_score": 60.0}}
GROUPER = {"topic_cluster_grouper": {"num_clusters": 4}}
SELECTOR = {"facility_location_selector": {"select_ratio": 0.8}}
MERGER = {"llm_pair_merger_mapper": {"merge_strategy": "concat", "similarity_threshold": 0.4}}
FLATTEN = {"topic_reverse_grouper": {}}
LENGTH = {"text_length_filter": {"text_key": "output", "min_len": 1}}

RECIPES = {
    "pre-filter gate and gate": [BOUNDED, GROUPER, SELECTOR, MERGER, BOUNDED],
    "two equal gates in a row": [GROUPER, SELECTOR, MERGER, GATE, GATE],
    "two gates, then a filter of theirs": [GROUPER, MERGER, BOUNDED, LENGTH, GATE, LENGTH],
    "two mergers": [GROUPER, MERGER, GATE, GROUPER, MERGER, GATE],
    "selection alone": [LENGTH, GROUPER, SELECTOR, FLATTEN],
}


def data_for(folder: Path, rows: list[dict]) -> Path:
    return write_jsonl(folder / "in.jsonl", rows)


def run(executor: str, folder: Path, process: list[dict], data: Path, **settings: Any) -> Path:
    recipe = write_recipe(folder, process, data, **settings)
    if executor == "ray":
        return run_recipe_on_ray(recipe, "--export_path", str(folder / "ray" / "export"))
    return run_recipe_apart(recipe, folder / "default" / "export.jsonl")


def assert_true(export: Path, process: list[dict], data: Path, rows: list[dict]) -> list[dict]:
    """Records, summary, report and verify agree about a run."""
    records = read_manifests(work_dir_of(export))
    names = [next(iter(step)) for step in process]
    ours = [(place, name) for place, name in enumerate(names) if name != "text_length_filter"]
    assert [(record["place"], record["operator"]) for record in records] == ours
    assert [record["process"] for record in records] == [names] * len(records)
    assert {record["state"] for record in records} == {"done"}
    assert len({record["run"] for record in records}) == 1
    files = sorted(path.name for path in (work_dir_of(export) / MANIFEST_DIR).glob("*.json"))
    assert files == [f"{place + 1:03d}_{name}.json" for place, name in ours]
    # No operator between ours removes rows.
    figures = [record["figures"] for record in records]
    assert figures[0].get("rows_in", len(rows)) == len(rows)
    left = len(rows)
    for part in figures:
        assert part.get("rows_in", left) == left
        left = part.get("rows_out", left)
    finished = read_run(export)
    assert left == len(list(finished.rows()))
    steps = funnel(survey_run(finished, sample=0, say=lambda line: None))
    assert not [step for step in steps if "not of MergeIT-ops" in step.note]
    assert steps[-1].rows == left
    verified = verify(finished, read_input(data))
    assert verified.violations == []
    assert verified.holds
    return records


QUICK = ("pre-filter gate and gate",)
RUNS = [
    pytest.param(name, executor, marks=[pytest.mark.slow] if executor == "ray" and name not in QUICK else [])
    for name in RECIPES
    for executor in ("default", "ray")
]


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize(("name", "executor"), RUNS)
def test_records_summary_report_and_verify_are_true(tmp_path, embedded_rows, lines, executor, name):
    process, data = RECIPES[name], data_for(tmp_path, embedded_rows)
    export = run(executor, tmp_path, process, data)
    records = assert_true(export, process, data, embedded_rows)
    for record in records:
        assert record["role"] == record["roles"][record["operator"]] | {"may_drop": record["role"]["may_drop"]}
        if record["operator"] == "quality_gate_filter":
            assert record["role"]["may_drop"] == (record["parameters"]["min_score"] is not None)
    if executor == "ray" and name != "selection alone":
        summary = [line for line in lines if "MergeIT summary" in line][-1]
        mergers = [record["figures"] for record in records if "pairs" in record["figures"]]
        gates = [record for record in records if "rejected" in record["figures"] and record["place"] > 1]
        merged = sum(part["merged"] for part in mergers)
        assert f"rows in {len(embedded_rows)}; " in summary
        assert f"pairs {sum(part['pairs'] for part in mergers)}; merged {merged}; " in summary
        rejected = sum(sum(record["figures"]["rejected"].values()) for record in gates)
        assert rejected
        assert f"rejected (score {rejected})" in summary
        filtered = sum(record["figures"].get("filtered_out", 0) for record in records)
        assert f"filtered out {filtered}" in summary
        (accepted,) = [int(part.split()[1]) for part in summary.split("summary: ")[1].split("; ") if "accepted" in part]
        assert accepted <= merged - rejected
        assert accepted == merged - rejected or process[3] != MERGER


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("executor", ["default", "ray"])
def test_a_gate_that_stops_says_so_and_keeps_its_place(tmp_path, embedded_rows, executor):
    raising = {"quality_gate_filter": {"scorer": "tests.user_scorers:Raising", "score_all": True}}
    process = [BOUNDED, GROUPER, MERGER, raising]
    with pytest.raises(Exception, match="Raising"):
        run(executor, tmp_path, process, data_for(tmp_path, embedded_rows))
    (work_dir,) = (path.parent for path in tmp_path.rglob(MANIFEST_DIR))
    records = read_manifests(work_dir)
    assert [record["state"] for record in records] == ["done", "done", "done", "stopped"]
    assert [record["place"] for record in records] == [0, 1, 2, 3]
    assert records[-1]["stopped"] == "ScorerError"


def test_a_run_that_is_killed_leaves_a_begun_record_and_blocks_nobody(tmp_path, embedded_rows):
    rows = embedded_rows[:30]
    script = "import sys, pathlib; from tests.recipe_runs import run_recipe; run_recipe(pathlib.Path(sys.argv[1]))"
    process = [GROUPER, MERGER, {"quality_gate_filter": {"scorer": "tests.user_scorers:Killing", "score_all": True}}]
    data = data_for(tmp_path, rows)
    recipe = write_recipe(tmp_path, process, data, job_id="again")
    killed = subprocess.run([sys.executable, "-c", script, str(recipe)], check=False, timeout=200)
    assert killed.returncode == -signal.SIGKILL
    (work_dir,) = (path.parent for path in tmp_path.rglob(MANIFEST_DIR))
    first = read_manifests(work_dir)
    assert [record["state"] for record in first] == ["done", "done", "running"]
    assert first[-1]["figures"] == {}
    process[-1] = GATE
    export = run_recipe(write_recipe(tmp_path, process, data, job_id="again"))
    records = read_manifests(work_dir)
    assert records[:3] == first
    assert [record["state"] for record in records[3:]] == ["done"] * 3
    assert [record["place"] for record in records] == [0, 1, 2, 0, 1, 2]
    assert len({record["run"] for record in records}) == 2
    assert verify(read_run(export), read_input(data)).holds


def test_a_work_dir_used_again_keeps_the_records_of_every_run_apart(tmp_path, embedded_rows, lines):
    data = data_for(tmp_path, embedded_rows)
    few = write_jsonl(tmp_path / "few.jsonl", embedded_rows[:20])
    process = [GROUPER, MERGER, GATE]
    recipe = write_recipe(tmp_path, process, data, job_id="again")
    export = run_recipe(recipe)
    first = read_manifests(work_dir_of(export))
    run_recipe(recipe, "--dataset_path", str(few))
    run_recipe(recipe)
    records = read_manifests(work_dir_of(export))
    assert records[:3] == first
    assert [record["place"] for record in records] == [0, 1, 2] * 3
    assert [record["figures"]["rows_in"] for record in records[::3]] == [120, 20, 120]
    summaries = [line for line in lines if "MergeIT summary" in line]
    # For each run, one after the merger and one after the gate.
    assert [line.split("rows in ")[1].split(";")[0] for line in summaries] == ["120"] * 2 + ["20"] * 2 + ["120"] * 2


UNREADABLE: dict[str, bytes] = {
    "empty": b"",
    "cut": b'{"format_version": 2, "run": "r", "oper',
    "not json": b"<html>",
    "not text": b"\xff\xfe\x00{",
    "a list": b"[1, 2]",
    "a number": b"7",
    "null": b"null",
    "without figures": b'{"operator": "x", "run": "r"}',
    "figures of no shape": b'{"operator": "x", "run": "r", "figures": [1]}',
    "a run of no shape": b'{"operator": "x", "run": ["r"], "figures": {}}',
    "an operator of no shape": b'{"operator": {}, "run": "r", "figures": {}}',
    "a place of no shape": b'{"operator": "x", "run": "r", "figures": {}, "place": "first"}',
    "parameters of no shape": b'{"operator": "x", "run": "r", "figures": {}, "parameters": 3}',
    "a start of no shape": b'{"operator": "x", "run": "r", "figures": {}, "started": "today"}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("name", ["001_topic_cluster_grouper.json", "000_a.json", "notes.json", "002_x.json"])
@pytest.mark.parametrize("kind", UNREADABLE)
def test_files_that_are_no_records_are_skipped_with_a_warning_by_all(tmp_path, lines, name, kind):
    folder = tmp_path / MANIFEST_DIR
    folder.mkdir()
    (folder / name).write_bytes(UNREADABLE[kind])
    (folder / "a folder.json").mkdir()
    for place, operator in enumerate(("topic_cluster_grouper", "llm_pair_merger_mapper")):
        with recorded(operator, {}, str(tmp_path), place=place) as manifest:
            manifest.figures |= {"rows_in": 3, "rows_out": 3}
    log_summary(str(tmp_path))
    records = read_manifests(tmp_path)
    assert [(record["operator"], record["state"]) for record in records] == [
        ("topic_cluster_grouper", "done"),
        ("llm_pair_merger_mapper", "done"),
    ]
    assert (folder / name).read_bytes() == UNREADABLE[kind]
    assert [line for line in lines if str(folder / name) in line]
    assert [line for line in lines if "MergeIT summary: rows in 3; rows out 3; " in line]


def test_records_of_the_first_format_are_read_in_their_order(tmp_path):
    folder = tmp_path / MANIFEST_DIR
    folder.mkdir()
    old = [("a", "topic_cluster_grouper"), ("a", "quality_gate_filter"), ("b", "topic_cluster_grouper")]
    for number, (run_id, operator) in enumerate(old, start=1):
        record = {"format_version": 1, "run": run_id, "operator": operator, "parameters": {}, "figures": {"rows_in": 1}}
        (folder / f"{number:03d}_{operator}.json").write_text(json.dumps(record), encoding="utf-8")
    with recorded("topic_cluster_grouper", {}, str(tmp_path), place=0):
        pass
    found = read_manifests(tmp_path)
    assert [(record["run"], record["operator"]) for record in found[:3]] == old
    assert found[3]["format_version"] == 2
    assert len(list(folder.iterdir())) == 4


def test_a_record_is_whole_at_every_moment(tmp_path):
    """A process that reads all the time never sees an incomplete record, and no temporary file stays."""
    script = """
import sys
from mergeit_ops.dataset.manifest import recorded
for _ in range(150):
    with recorded("op", {}, sys.argv[1], place=0) as manifest:
        manifest.details["ids"] = ["x" * 20] * 20_000
"""
    (tmp_path / MANIFEST_DIR).mkdir()
    writer = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    read = 0
    while writer.poll() is None:
        for path in (tmp_path / MANIFEST_DIR).glob("*.json"):
            json.loads(path.read_bytes())
            read += 1
    assert writer.returncode == 0
    assert read > 20
    assert [path.name for path in (tmp_path / MANIFEST_DIR).iterdir()] == ["001_op.json"]


@pytest.mark.parametrize("text", ["\ud800", "é", "\x00", "\u2028"])
def test_odd_text_in_a_record_stops_nothing(tmp_path, text):
    with recorded("op", {"name": text}, str(tmp_path)) as manifest:
        manifest.details["ids"] = [text]
    (record,) = read_manifests(tmp_path)
    assert record["ids"] == [text]


def test_a_work_dir_that_cannot_be_written_is_a_warning_that_names_it(tmp_path, lines):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with recorded("op", {}, str(tmp_path / "file")) as manifest:
        manifest.figures["rows_in"] = 1
    warnings = [line for line in lines if "its record could not be written" in line]
    assert len(warnings) == 1
    assert str(tmp_path / "file") in warnings[0]


def test_two_processes_never_share_a_file(tmp_path):
    script = """
import sys
from mergeit_ops.dataset.manifest import recorded
for _ in range(20):
    with recorded("op", {}, sys.argv[1]):
        pass
"""
    writers = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    records = read_manifests(tmp_path)
    assert len(records) == 60
    assert {record["state"] for record in records} == {"done"}


def test_an_operator_that_leaves_no_rows_is_warned_of(tmp_path, lines):
    with recorded("op", {}, str(tmp_path)) as manifest:
        manifest.figures |= {"rows_in": 5, "rows_out": 0}
    assert [line for line in lines if line.startswith("op: no rows are left, so the export will be empty;")]


def test_a_manifest_that_was_never_begun_is_written_when_it_is_done(tmp_path):
    manifest = Manifest("op", {})
    manifest.finish(1.0, str(tmp_path))
    (record,) = read_manifests(tmp_path)
    assert record["state"] == "done"


NOTHING_LEFT = {
    "bounds of a gate alone": [{"quality_gate_filter": {**GATE["quality_gate_filter"], "min_score": 1e9}}],
    "bounds of the last gate": [
        GROUPER,
        MERGER,
        {"quality_gate_filter": {**GATE["quality_gate_filter"], "min_score": 1e9}},
    ],
}


@pytest.mark.parametrize("name", NOTHING_LEFT)
def test_a_run_that_leaves_no_rows_warns(tmp_path, embedded_rows, lines, name):
    run_recipe(write_recipe(tmp_path, NOTHING_LEFT[name], data_for(tmp_path, embedded_rows)))
    assert [line for line in lines if line.startswith("quality_gate_filter: no rows are left")]
    assert "rows out 0; " in [line for line in lines if "MergeIT summary" in line][-1]


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("name", NOTHING_LEFT)
def test_a_run_on_ray_that_leaves_no_rows_warns(tmp_path, embedded_rows, lines, name):
    run("ray", tmp_path, NOTHING_LEFT[name], data_for(tmp_path, embedded_rows))
    assert [line for line in lines if line.startswith("quality_gate_filter: no rows are left")]
    assert "rows out 0; " in [line for line in lines if "MergeIT summary" in line][-1]


@pytest.mark.usefixtures("ray_cluster")
def test_a_filter_on_ray_that_no_row_reaches_stops_the_run(tmp_path, embedded_rows):
    nothing = {"text_length_filter": {"text_key": "output", "min_len": 10**9}}
    message = "quality_gate_filter: no rows reached this operator after text_length_filter"
    with pytest.raises(DatasetError, match=message):
        run("ray", tmp_path, [nothing, BOUNDED], data_for(tmp_path, embedded_rows))
