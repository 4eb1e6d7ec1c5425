"""Finding the records that the operators of a run have left in its work dir."""

import os

import pytest

from mergeit_ops.dataset.manifest import EXPORT_PATH, PROCESS, ROLES, RUNNING
from mergeit_ops.dataset.record_files import MANIFEST_DIR, claim_file
from mergeit_ops.runs.recipe_steps import GATE, MERGER
from mergeit_ops.runs.records import Records, find_runs, read_runs

ROLE = {"merge": {"kind": MERGER}, "gate": {"kind": GATE}, "pick": {"kind": "selector"}}


def leave(folder, *names, run="r", started=1.0, export=None, **more):
    """Leave a record of each operator of a recipe."""
    for place, name in enumerate(names):
        record = {
            "operator": name,
            "run": run,
            "place": place,
            "figures": {},
            "started": started + place,
            "role": ROLE[name],
            PROCESS: list(names),
            ROLES: ROLE,
            EXPORT_PATH: None if export is None else str(export),
            **more,
        }
        claim_file(str(folder), record)


def test_a_run_is_its_operators_in_the_order_of_the_recipe(tmp_path):
    leave(tmp_path, "merge", "gate")
    (run,) = read_runs(tmp_path)
    assert [record["operator"] for record in run.records.operators] == ["merge", "gate"]
    assert run.records.process == ("merge", "gate")
    assert run.records.complete
    assert run.work_dir == read_runs(tmp_path / MANIFEST_DIR)[0].work_dir == tmp_path
    assert [record["operator"] for record in run.records.of_kind(GATE)] == ["gate"]


@pytest.mark.parametrize("more", [{"state": RUNNING}, {"stopped": "why"}])
def test_a_run_that_did_not_end_is_stopped(tmp_path, more):
    leave(tmp_path, "merge", **more)
    (run,) = read_runs(tmp_path)
    assert run.records.stopped
    assert not run.records.complete
    assert find_runs(tmp_path / "out.jsonl") == []


def test_an_operator_of_the_law_without_a_finished_record_is_missing(tmp_path):
    leave(tmp_path, "merge", incomplete=True)
    (run,) = read_runs(tmp_path)
    assert run.records.missing == (MERGER,)
    assert Records(process=("merge", "gate", "pick"), roles=ROLE).missing == (MERGER, GATE)


def test_of_several_runs_complete_ones_come_first_and_then_later_ones(tmp_path):
    leave(tmp_path, "merge", run="first", started=1.0)
    leave(tmp_path, "merge", run="second", started=5.0)
    leave(tmp_path, "merge", run="half", started=9.0, incomplete=True)
    assert [run.records.operators[0]["run"] for run in read_runs(tmp_path)] == ["second", "first", "half"]


def test_a_run_that_went_on_from_a_checkpoint_has_what_was_done_before(tmp_path):
    leave(tmp_path, "pick", "merge", "gate", run="first", started=1.0)
    leave(tmp_path, "gate", run="second", started=9.0)
    later = read_runs(tmp_path)[0].records
    assert [(record["operator"], record["run"]) for record in later.operators] == [
        ("pick", "first"),
        ("merge", "first"),
        ("gate", "second"),
    ]
    assert later.process == ("pick", "merge", "gate")


def test_the_run_that_names_an_export_is_found_before_one_of_the_same_name(tmp_path):
    here = tmp_path / "out.jsonl"
    for number, export in enumerate((here, tmp_path / "elsewhere" / "out.jsonl", tmp_path / "other.jsonl")):
        leave(tmp_path / f"job{number}", "merge", run=str(number), export=export)
    assert [run.work_dir.name for run in find_runs(here)] == ["job0"]
    moved = tmp_path / "job1"
    assert [run.work_dir for run in find_runs(tmp_path / "elsewhere.jsonl")] == []
    os.rename(tmp_path / "job0", tmp_path.parent / f"{tmp_path.name}-away")
    assert [run.work_dir for run in find_runs(here)] == [moved]


def test_a_folder_that_is_not_there_has_no_runs(tmp_path):
    assert find_runs(tmp_path / "none" / "out.jsonl") == []
    assert read_runs(tmp_path / "none") == []


def test_rows_that_gates_dropped_are_not_among_the_drops():
    operators = (
        {"operator": "pick", "role": ROLE["pick"], "dropped": ["a"]},
        {"operator": "gate", "role": ROLE["gate"], "dropped": ["b"]},
        {"operator": "merge", "role": ROLE["merge"]},
    )
    assert Records(operators).drops == {"a": "pick"}
