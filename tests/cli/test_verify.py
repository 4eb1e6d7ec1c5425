"""`verify` on finished runs: what it proves of a good one, what it says of one that was tampered with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from data_juicer.ops.base_op import OPERATORS

from mergeit_ops import cli
from mergeit_ops.core.columns import META, STATS
from mergeit_ops.core.rows.lossless import decode_row, encode_row
from mergeit_ops.errors import LLMError
from tests.llm_server import FakeLLMServer, error, merge_answer
from tests.recipe_runs import (
    copy_of_run,
    read_export,
    read_jsonl,
    run_recipe,
    run_recipe_on_ray,
    write_jsonl,
    write_recipe,
)
from tests.test_whole_runs import LAYOUTS, in_layout, pipeline, text_key_of, work_dir_of
from tests.thorough import every

HOLDS = "The conservation law holds"
VIOLATED = "The conservation law does NOT hold"
BUDGET = {"budget_selector": {"select_num": 30}}
SELECTION = [{"topic_cluster_grouper": {"num_clusters": 5}}, {"facility_location_selector": {"select_ratio": 0.5}}]


class Verified:
    """What the command printed and how it ended."""

    def __init__(self, capsys: Any, *arguments: object) -> None:
        capsys.readouterr()
        self.code = cli.main(["verify", *map(str, arguments)])
        captured = capsys.readouterr()
        self.text = captured.out + captured.err

    def count(self, name: str) -> int:
        (line,) = [line for line in self.text.splitlines() if line.strip().startswith(name)]
        return int(line.split()[-1].replace(",", ""))


@pytest.fixture
def verify(capsys):
    return lambda *arguments: Verified(capsys, *arguments)


@pytest.fixture(scope="module")
def data(tmp_path_factory, embedded_rows) -> Path:
    return write_jsonl(tmp_path_factory.mktemp("data") / "in.jsonl", embedded_rows)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data) -> Path:
    """A run with originals, merges and restored rows, to be copied by tests that spoil it."""
    return copy_of_run(tmp_path_factory.mktemp("finished"), pipeline(gamma=1.4), data)


@pytest.fixture
def spoiled(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished.parent, tmp_path / "copy")) / finished.name


def spoil(export: Path, change: Any) -> None:
    rows = read_jsonl(export)
    changed = change(rows)
    write_jsonl(export, rows if changed is None else changed)


def first(rows: list[dict], status: str) -> dict:
    return next(row for row in rows if row[META]["merge_status"] == status)


def position(rows: list[dict], status: str) -> int:
    return next(number for number, row in enumerate(rows) if row[META]["merge_status"] == status)


def test_the_table_accounts_for_every_row(verify, data, finished):
    found = verify(data, finished)
    assert found.code == 0
    assert HOLDS in found.text
    assert "What is not proved" not in found.text
    rows = read_jsonl(finished)
    statuses = Counter(row[META]["merge_status"] for row in rows)
    assert found.count("original") == statuses["original"]
    assert found.count("restored") == statuses["restored"]
    assert found.count(f"merged, as parents of {statuses['merged']} rows") == 2 * statuses["merged"]
    assert found.count("entered the merger") == statuses["original"] + statuses["restored"] + 2 * statuses["merged"]
    assert found.count("rows of INPUT") == found.count("never entered") + found.count("entered the merger") == 120
    assert [found.count(name) for name in ("lost", "doubled", "changed")] == [0, 0, 0]
    assert found.count("rows of the export") == len(rows)


def test_what_became_of_every_row_is_written(verify, data, finished, tmp_path, embedded_rows):
    assert verify(data, finished, "--rows", tmp_path / "rows.jsonl").code == 0
    fates, exported = read_jsonl(tmp_path / "rows.jsonl"), read_jsonl(finished)
    assert [fate["row"] for fate in fates] == list(range(1, 121))
    assert {fate["fate"] for fate in fates} == {"original", "merged", "restored", "never entered"}
    for fate, before in zip(fates, embedded_rows, strict=True):
        if fate["fate"] == "never entered":
            assert "export_row" not in fate
            continue
        row = exported[fate["export_row"] - 1]
        assert row[META]["merge_status"] == fate["fate"]
        if fate["fate"] == "merged":
            row = decode_row(row[META]["merge_parents"][fate["parent"] - 1])
        assert row["id"] == before["id"]
        assert (fate.get("reason") == "score") == (fate["fate"] == "restored")


def test_the_sources_of_a_mixed_recipe_are_given_one_by_one(verify, data, finished, tmp_path, embedded_rows):
    one, other = (write_jsonl(tmp_path / f"{n}.jsonl", embedded_rows[60 * n : 60 * n + 60]) for n in range(2))
    assert verify(one, other, finished).text == verify(data, finished).text
    assert verify(one, finished).code == 2


def test_rows_on_standard_output_are_nothing_but_rows(data, finished, capsys):
    capsys.readouterr()
    assert cli.main(["verify", str(data), str(finished), "--rows", "-"]) == 0
    captured = capsys.readouterr()
    assert len([json.loads(line) for line in captured.out.splitlines()]) == 120
    assert HOLDS in captured.err


@pytest.mark.parametrize("suffix", every(3, ["parquet", "json", "jsonl"]))
@pytest.mark.parametrize("keep", [True, False])
def test_it_holds_in_every_form_of_the_default_executor(verify, data, tmp_path, suffix, keep):
    export = copy_of_run(tmp_path, pipeline(gamma=1.4), data, suffix=suffix, keep_stats_in_res_ds=keep)
    found = verify(data, export)
    assert (found.code, "What is not proved" in found.text) == (0, False)


def test_it_holds_whatever_the_server_does(verify, data, tmp_path):
    replies = [merge_answer, lambda _: error(500), lambda _: "no JSON", lambda _: "{}", lambda _: error(400)]
    calls = iter(range(10_000))
    with FakeLLMServer(answer=lambda body: replies[next(calls) % len(replies)](body)) as server:
        process = pipeline(server, try_num=1, max_failure_ratio=1.0)
        found = verify(data, run_recipe(write_recipe(tmp_path, process, data)))
    assert found.code == 0
    assert found.count("of them with a failed merge: api_failed") > 0


@pytest.mark.parametrize("merger", [{"dry_run": True}, {"num_candidates": 3}, {"max_group_size": 3}])
def test_it_holds_for_dry_runs_candidates_and_groups(verify, data, tmp_path, merger):
    def answer(body: dict) -> str:
        # Every candidate another text: the gate takes the longest.
        answer.calls += 1
        merged = json.loads(merge_answer(body))
        return json.dumps(merged | {"output": merged["output"] + " And so on." * (answer.calls % 5)})

    answer.calls = 0
    with FakeLLMServer(answer=answer) as server:
        process = pipeline(server, gamma=1.4, cache_path=None, **merger)
        found = verify(data, run_recipe(write_recipe(tmp_path, process, data)))
    assert found.code == 0
    assert "What is not proved" not in found.text
    assert ("This was a dry run: llm_pair_merger_mapper called no model" in found.text) == ("dry_run" in merger)


@pytest.mark.parametrize("layout", every(3, LAYOUTS))
def test_it_holds_in_every_layout(verify, tmp_path, embedded_rows, layout):
    rows = in_layout(layout, embedded_rows)
    data = write_jsonl(tmp_path / "in.jsonl", rows)
    found = verify(data, copy_of_run(tmp_path, pipeline(gamma=1.4), data, text_keys=text_key_of(rows[0])))
    assert (found.code, "What is not proved" in found.text) == (0, False)


def test_a_column_that_merged_rows_were_given_anew_is_no_change(verify, tmp_path, embedded_rows):
    rows = [row | {"text": f"{row['instruction']} {row['output']}"} for row in embedded_rows]
    data = write_jsonl(tmp_path / "in.jsonl", rows)
    process = pipeline(gamma=1.4, derived_columns={"text": "{instruction} {output}"})
    found = verify(data, run_recipe(write_recipe(tmp_path, process, data, text_keys="text")))
    assert (found.code, "What is not proved" in found.text) == (0, False)


@pytest.mark.parametrize("suffix", every(2, ["jsonl", "json", "parquet"]))
def test_numbers_and_nested_values_that_an_export_rounds_are_no_changes(verify, tmp_path, embedded_rows, suffix):
    extra = {"weight": 1 / 3, "small": 1e-12, "tags": ["x", "y"], "nested": {"a": 1, "b": [None, 0.1]}, "nothing": None}
    rows = [
        row | {name: value if at % 3 else None for name, value in extra.items()} for at, row in enumerate(embedded_rows)
    ]
    data = write_jsonl(tmp_path / "in.jsonl", rows)
    export = tmp_path / "out" / f"export.{suffix}"
    found = verify(data, run_recipe(write_recipe(tmp_path, pipeline(gamma=1.4), data), "--export_path", str(export)))
    assert (found.code, "What is not proved" in found.text) == (0, False)
    if suffix == "jsonl":
        spoil(export, lambda rows: next(row for row in rows if row["weight"]).update(weight=0.3334))
        found = verify(data, export)
        assert found.code == 1
        assert "any more: weight changed" in found.text


def test_copies_of_a_row_are_told_apart(verify, tmp_path, embedded_rows):
    data = write_jsonl(tmp_path / "in.jsonl", [*embedded_rows, *embedded_rows[:50], *embedded_rows[:20]])
    export = run_recipe(write_recipe(tmp_path, pipeline(gamma=1.4), data))
    assert verify(data, export).code == 0
    spoil(export, lambda rows: rows.pop(position(rows, "restored")) and None)
    assert verify(data, export).count("lost") == 1


# Tampering.


def test_a_row_that_was_removed_is_missed(verify, data, spoiled):
    for status in ("original", "restored", "merged"):
        before = read_jsonl(spoiled)
        spoil(spoiled, lambda rows, status=status: rows.pop(position(rows, status)) and None)
        found = verify(data, spoiled)
        assert found.code == 1
        assert VIOLATED in found.text
        assert found.count("lost") == (2 if status == "merged" else 1)
        assert "of INPUT) entered the merger and is not in the export" in found.text
        write_jsonl(spoiled, before)
    assert verify(data, spoiled).code == 0


def test_a_row_that_was_doubled_is_found(verify, data, spoiled):
    spoil(spoiled, lambda rows: rows.append(first(rows, "merged")))
    found = verify(data, spoiled)
    assert found.code == 1
    assert found.count("doubled") == 2
    assert "of the export are the same row" in found.text


def test_a_parent_that_stands_alone_as_well_is_doubled(verify, data, spoiled):
    def restore_one(rows: list[dict]) -> None:
        parent = decode_row(first(rows, "merged")[META]["merge_parents"][0])
        rows.append(parent | {STATS: {}})

    spoil(spoiled, restore_one)
    found = verify(data, spoiled)
    assert (found.code, found.count("doubled")) == (1, 1)


@pytest.mark.parametrize("status", ["original", "restored"])
@pytest.mark.parametrize("column", ["output", "source"])
def test_a_value_that_was_changed_is_found(verify, data, spoiled, status, column):
    spoil(spoiled, lambda rows: first(rows, status).update({column: "another"}))
    found = verify(data, spoiled)
    assert (found.code, found.count("changed")) == (1, 1)
    assert f"any more: {column} changed" in found.text


def test_a_column_that_was_added_or_removed_is_found(verify, data, spoiled):
    spoil(spoiled, lambda rows: first(rows, "original").pop("source") and None)
    assert "any more: source changed" in verify(data, spoiled).text
    spoil(spoiled, lambda rows: first(rows, "restored").update(more=None))
    found = verify(data, spoiled)
    assert (found.code, found.count("changed")) == (1, 2)


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        ("output", "differs from the text that"),
        ("id", "has values in id that do not come from its parents"),
    ],
)
def test_a_merged_row_that_was_changed_is_found(verify, data, spoiled, column, sentence):
    spoil(spoiled, lambda rows: first(rows, "merged").update({column: "another"}))
    found = verify(data, spoiled)
    assert (found.code, found.count("changed")) == (1, 1)
    assert sentence in found.text


def test_a_parent_that_was_dropped_is_missed(verify, data, spoiled):
    def drop(rows: list[dict]) -> None:
        meta = first(rows, "merged")[META]
        meta["merge_parents"].pop()
        meta["merge_parent_ids"].pop()

    spoil(spoiled, drop)
    found = verify(data, spoiled)
    assert (found.code, found.count("lost")) == (1, 1)
    assert "names 1 parents and holds 1" in found.text


def test_a_parent_that_was_changed_is_found(verify, data, spoiled):
    def change(rows: list[dict]) -> None:
        meta = first(rows, "merged")[META]
        meta["merge_parents"][1] = encode_row(decode_row(meta["merge_parents"][1]) | {"output": "another"})

    spoil(spoiled, change)
    found = verify(data, spoiled)
    assert (found.code, found.count("changed")) == (1, 1)
    assert "Parent 2 of row" in found.text


def test_a_row_of_another_run_is_found(verify, data, spoiled):
    foreign = {"id": "x", "instruction": "Say hello.", "input": "", "output": "Hello.", "source": "x"}
    spoil(spoiled, lambda rows: rows.append({**foreign, META: first(rows, "original")[META] | {"row_id": "0" * 20}}))
    found = verify(data, spoiled)
    assert found.code == 1
    assert "never entered the merger" in found.text
    spoil(spoiled, lambda rows: [*rows[:-1], foreign | {META: None}])
    found = verify(data, spoiled)
    assert found.code == 1
    assert "has no counterpart in this run, and no lineage" in found.text


@pytest.mark.parametrize("drop", ["row", "lineage"])
def test_lineage_beside_an_export_of_another_length_is_a_violation(verify, data, tmp_path, drop):
    export = copy_of_run(tmp_path, pipeline(), data, keep_stats_in_res_ds=False)
    path = export if drop == "row" else export.with_name("export_stats.jsonl")
    write_jsonl(path, read_jsonl(path)[1:])
    found = verify(data, export)
    assert found.code == 1
    assert "differ in length" in found.text


def test_rows_in_another_order_than_their_lineage_are_changed_rows(verify, data, tmp_path):
    export = copy_of_run(tmp_path, pipeline(), data, keep_stats_in_res_ds=False)
    spoil(export, lambda rows: rows[::-1])
    assert verify(data, export).code == 1


def test_without_its_record_a_run_cannot_be_decided(verify, data, spoiled):
    shutil.rmtree(work_dir_of(spoiled))
    found = verify(data, spoiled)
    assert found.code == 2
    assert "It cannot be decided" in found.text
    assert "No record says which rows entered the merger" in found.text
    spoil(spoiled, lambda rows: rows.append(first(rows, "original")))
    assert verify(data, spoiled).code == 1


def test_without_lineage_rows_are_told_by_their_content_and_the_record(verify, data, tmp_path):
    export = copy_of_run(tmp_path, pipeline(gamma=1.4), data, keep_stats_in_res_ds=False)
    export.with_name("export_stats.jsonl").unlink()
    found = verify(data, export)
    assert found.code == 0
    assert "identified by" in found.text
    assert found.count("restored") > 0
    spoil(export, lambda rows: rows[1:])
    found = verify(data, export)
    assert (found.code, found.count("lost") > 0) == (1, True)


def test_without_lineage_rounded_numbers_leave_it_undecided(verify, tmp_path, embedded_rows):
    data = write_jsonl(tmp_path / "in.jsonl", [row | {"weight": 1 / 3} for row in embedded_rows])
    export = tmp_path / "out" / "export.json"
    recipe = write_recipe(tmp_path, pipeline(gamma=1.4), data, keep_stats_in_res_ds=False)
    run_recipe(recipe, "--export_path", str(export))
    assert verify(data, export).code == 0
    export.with_name("export_stats.jsonl").unlink()
    found = verify(data, export)
    assert found.code == 2
    assert "JSON rounds numbers" in found.text
    assert found.count("lost") == 0 < found.count("not recognised")


def test_the_record_of_a_run_that_stopped_is_of_no_export(verify, data, finished, tmp_path):
    with FakeLLMServer(answer=lambda _: error(401)) as server, pytest.raises(LLMError):
        run_recipe(write_recipe(tmp_path, pipeline(server), data))
    found = verify(data, finished, "--work-dir", work_dir_of(tmp_path / "out" / "export.jsonl"))
    assert found.code != 0
    assert "a run that stopped with an error" in found.text


# What stands around our operators.


def test_rows_that_the_gate_drops_are_named(verify, data, tmp_path):
    process = pipeline(gamma=1.4)
    process[-1]["quality_gate_filter"]["min_score"] = 90
    export = run_recipe(write_recipe(tmp_path, process, data))
    found = verify(data, export)
    assert found.code == 0
    assert found.count("dropped by the gate") > 0
    assert "What is not proved" not in found.text
    spoil(export, lambda rows: rows[1:])
    assert verify(data, export).code == 1


def test_rows_that_a_later_filter_takes_away_are_put_down_to_it(verify, data, tmp_path):
    process = [*pipeline(gamma=1.4), {"text_length_filter": {"text_key": "output", "min_len": 60}}]
    export = run_recipe(write_recipe(tmp_path, process, data))
    found = verify(data, export, "--rows", tmp_path / "rows.jsonl")
    assert found.code == 0
    assert found.count("taken away later") > 0
    assert "text_length_filter may have removed" in found.text
    assert "taken away later" in {fate["fate"] for fate in read_jsonl(tmp_path / "rows.jsonl")}
    # A filter changes no text.
    spoil(export, lambda rows: first(rows, "original").update(output="another"))
    assert verify(data, export).code == 1


def test_rows_that_a_filter_between_merger_and_gate_takes_away_are_put_down_to_it(verify, data, tmp_path):
    process = pipeline(gamma=1.4)
    process.insert(-1, {"text_length_filter": {"text_key": "output", "min_len": 60}})
    export = run_recipe(write_recipe(tmp_path, process, data))
    found = verify(data, export)
    assert found.code == 0
    assert "text_length_filter may have removed" in found.text
    # What has left the gate can only be lost behind it.
    spoil(export, lambda rows: rows[1:])
    assert verify(data, export).code == 1


@pytest.mark.parametrize("place", [-1, None], ids=["before the gate", "behind it"])
def test_rows_that_our_filter_drops_on_record_are_proved(verify, data, tmp_path, embedded_rows, place):
    """An originally separate row is dropped, and a merge with both of its parents."""
    merges = [row for row in read_jsonl(copy_of_run(tmp_path, pipeline()[:-1], data)) if row[META]]
    texts = [first(merges, status)["instruction"] for status in ("original", "merged")]
    (tmp_path / "benchmark.txt").write_text("\n".join(" ".join(text.split()) for text in texts), encoding="utf-8")
    process = pipeline(gamma=0.01)
    clean = {"decontamination_filter": {"paths": [str(tmp_path / "benchmark.txt")], "max_similarity": None}}
    process.insert(len(process) if place is None else place, clean)
    export = run_recipe(write_recipe(tmp_path, process, data, export_path=str(tmp_path / "clean" / "export.jsonl")))
    found = verify(data, export)
    assert found.code == 0
    assert "may have removed" not in found.text
    assert found.count("taken away later" if place is None else "taken away before the gate") >= 3
    if place is None:
        assert "(decontamination_filter)" in found.text
    # Another row that is missing is lost: the filter has not dropped it.
    spoil(export, lambda rows: rows[1:])
    assert verify(data, export).code == 1


def test_texts_that_a_later_mapper_changes_are_put_down_to_it(verify, data, tmp_path):
    upper = {"python_lambda_mapper": {"lambda_str": "lambda row: {**row, 'output': row['output'].upper()}"}}
    export = run_recipe(write_recipe(tmp_path, [*pipeline(gamma=1.4), upper], data))
    found = verify(data, export)
    assert found.code == 0
    assert "python_lambda_mapper may have changed them" in found.text


def test_rows_that_an_earlier_mapper_changes_are_told_by_what_they_ask(verify, data, tmp_path, embedded_rows):
    upper = {"python_lambda_mapper": {"lambda_str": "lambda row: {**row, 'output': row['output'].upper()}"}}
    export = run_recipe(write_recipe(tmp_path, [upper, *pipeline(gamma=1.4)], data))
    found = verify(data, export, "--rows", tmp_path / "rows.jsonl")
    assert found.code == 0
    assert "match no row of INPUT exactly" in found.text
    assert "python_lambda_mapper before our operators may have changed them" in found.text
    exported = read_jsonl(export)
    told = [fate for fate in read_jsonl(tmp_path / "rows.jsonl") if fate["fate"] in ("original", "restored")]
    assert told
    for fate in told:
        before = embedded_rows[fate["row"] - 1]
        assert exported[fate["export_row"] - 1]["id"] == before["id"]
        assert fate.get("changed_before", False) == (before["output"] != before["output"].upper())
    spoil(export, lambda rows: first(rows, "original").update(output="another"))
    assert verify(data, export).code == 1


ADD_COLUMN = {"python_lambda_mapper": {"lambda_str": "lambda row: {**row, 'lang': 'en' + str(len(row['output']))}"}}


def test_rows_that_only_got_a_column_before_our_operators_are_rows_of_the_input(verify, data, tmp_path, embedded_rows):
    export = run_recipe(write_recipe(tmp_path, [ADD_COLUMN, *pipeline(gamma=1.4)], data))
    found = verify(data, export, "--rows", tmp_path / "rows.jsonl")
    assert found.code == 0
    assert "rows that entered are rows of INPUT with more columns: 'lang'. The values there cannot" in found.text
    assert "python_lambda_mapper before our operators may have added them" in found.text
    assert "match no row" not in found.text
    exported = read_jsonl(export)
    told = [fate for fate in read_jsonl(tmp_path / "rows.jsonl") if fate["fate"] in ("original", "restored")]
    assert len(told) == found.count("original") + found.count("restored")
    for fate in told:
        assert exported[fate["export_row"] - 1]["id"] == embedded_rows[fate["row"] - 1]["id"]
        assert "changed_before" not in fate
    spoil(export, lambda rows: first(rows, "original").update(output="another"))
    assert verify(data, export).code == 1


@pytest.mark.parametrize("gamma", [1.4, 0.01])
def test_rows_that_only_got_a_column_after_the_gate_are_as_they_were(verify, data, tmp_path, gamma):
    export = run_recipe(write_recipe(tmp_path, [*pipeline(gamma=gamma), ADD_COLUMN], data))
    found = verify(data, export)
    assert found.code == 0
    assert "are as they were after the gate, but have more columns: 'lang'" in found.text
    assert f"{len(read_jsonl(export))} rows of the export are as they were" in found.text
    assert "changed after the rewriting" not in found.text
    # Another change is told from it.
    spoil(export, lambda rows: first(rows, "original").update(output="another"))
    assert "1 row of the export differs from what it was" in verify(data, export).text


def test_a_column_that_no_operator_can_have_added_is_a_change(verify, data, tmp_path):
    export = run_recipe(write_recipe(tmp_path, pipeline(gamma=0.01), data))
    spoil(export, lambda rows: first(rows, "merged").update(lang="en"))
    found = verify(data, export)
    assert found.code == 1
    assert "has values in lang that do not come from its parents" in found.text


def test_an_input_that_is_not_the_runs_cannot_decide(verify, finished, tmp_path, embedded_rows):
    other = write_jsonl(tmp_path / "other.jsonl", [row | {"output": row["output"] + "!"} for row in embedded_rows])
    found = verify(other, finished)
    assert found.code == 2
    assert "INPUT is not the dataset of this run" in found.text


def test_ids_that_rows_bring_are_used(verify, tmp_path, embedded_rows):
    rows = [row | {"mergeit_row_id": f"row {row['id']}"} for row in embedded_rows]
    data = write_jsonl(tmp_path / "in.jsonl", rows)
    export = run_recipe(write_recipe(tmp_path, pipeline(gamma=1.4), data))
    found = verify(data, export)
    assert (found.code, "What is not proved" in found.text) == (0, False)
    spoil(export, lambda rows: first(rows, "original").update(output="another"))
    assert verify(data, export).code == 1


@pytest.mark.parametrize("process", [[BUDGET], [SELECTION[1]]], ids=["a budget", "a selection"])
def test_rows_that_bring_ids_are_told_by_their_content_where_nothing_keeps_the_ids(
    verify, tmp_path, embedded_rows, process
):
    rows = [row | {"mergeit_row_id": f"row {row['id']}"} for row in embedded_rows]
    data = write_jsonl(tmp_path / "in.jsonl", rows)
    export = run_recipe(write_recipe(tmp_path, process, data))
    found = verify(data, export, "--rows", tmp_path / "rows.jsonl")
    kept = {row["id"] for row in read_jsonl(export)}
    assert (found.code, found.count("kept")) == (0, len(kept))
    fates = {fate["row_id"] for fate in read_jsonl(tmp_path / "rows.jsonl") if fate["fate"] == "kept"}
    assert fates == {f"row {one}" for one in kept}
    rows = read_jsonl(export)
    for wrong in (rows[1:], [*rows, rows[0]], [rows[0], *rows[:-1]], [rows[0] | {"output": "another"}, *rows[1:]]):
        write_jsonl(export, wrong)
        assert verify(data, export).code == 1


# Recipes of other shapes.


def test_a_merger_without_a_gate(verify, data, tmp_path):
    export = copy_of_run(tmp_path, pipeline()[:3], data)
    assert verify(data, export).code == 0
    spoil(export, lambda rows: first(rows, "merged").update(output="another"))
    assert verify(data, export).code == 1


def test_a_gate_before_the_grouper_as_well(verify, data, tmp_path):
    every = {"scorer": "tests.user_scorers:ByLength", "reference": "mean", "max_score": None, "score_all": True}
    before = {"quality_gate_filter": {**every, "gamma": 1.0, "min_score": 40}}
    process = [before, *pipeline(gamma=1.4)]
    process[-1]["quality_gate_filter"] |= {"min_score": None, "max_score": None, "score_all": False}
    found = verify(data, run_recipe(write_recipe(tmp_path, process, data)))
    assert found.code == 0
    assert found.count("of them taken away before the grouper") > 0


def test_two_mergers_one_after_the_other(verify, data, tmp_path, embedded_rows):
    process = pipeline(gamma=1.4) + pipeline(gamma=1.2)
    process[5]["facility_location_selector"] = {"select_ratio": 1.0}
    export = run_recipe(write_recipe(tmp_path, process, data))
    found = verify(data, export, "--rows", tmp_path / "rows.jsonl")
    assert found.code == 0
    fates, rows = read_jsonl(tmp_path / "rows.jsonl"), read_jsonl(export)

    def ids_in(row: dict) -> set[str]:
        texts = [
            *row[META]["merge_parents"],
            *(json.loads(t).get("merge_parents", "") for t in row[META].get("merge_history") or ()),
        ]
        text = json.dumps([row, texts])
        return {before["id"] for before in embedded_rows if before["id"] in text}

    assert {"original", "merged", "restored", "never entered"} <= {fate["fate"] for fate in fates}
    for fate in fates:
        if "export_row" in fate:
            assert embedded_rows[fate["row"] - 1]["id"] in ids_in(rows[fate["export_row"] - 1])
    assert not {"lost", "taken away later"} & {fate["fate"] for fate in fates}


def test_an_export_that_goes_through_a_gate_of_its_own(verify, data, tmp_path):
    merged = run_recipe(write_recipe(tmp_path, pipeline()[:3], data))
    again = write_recipe(tmp_path, pipeline(gamma=1.4)[3:], merged)
    export = run_recipe(again, "--export_path", str(tmp_path / "gated" / "export.jsonl"))
    found = verify(merged, export, "--rows", tmp_path / "rows.jsonl")
    assert found.code == 0
    assert {fate["fate"] for fate in read_jsonl(tmp_path / "rows.jsonl")} == {"original", "merged", "restored"}
    spoil(export, lambda rows: rows[1:])
    assert verify(merged, export).code == 1


@pytest.mark.parametrize(
    "process", [[*SELECTION, {"topic_reverse_grouper": {}}], SELECTION[1:]], ids=["by topic", "from all"]
)
def test_a_selection_without_a_merger(verify, data, tmp_path, process):
    export = run_recipe(write_recipe(tmp_path, process, data))
    found = verify(data, export, "--rows", tmp_path / "rows.jsonl")
    assert found.code == 0
    fates = Counter(fate["fate"] for fate in read_jsonl(tmp_path / "rows.jsonl"))
    assert fates == {"kept": len(read_jsonl(export)), "not selected": 120 - len(read_jsonl(export))}
    rows = read_jsonl(export)
    for changed in (rows[1:], [*rows, rows[0]], [rows[0] | {"output": "another"}, *rows[1:]]):
        write_jsonl(export, changed)
        assert verify(data, export).code == 1


def test_a_selection_from_which_our_filter_then_drops_rows(verify, data, tmp_path, embedded_rows):
    questions = "\n".join(" ".join(row["instruction"].split()) for row in embedded_rows[::4])
    (tmp_path / "benchmark.txt").write_text(questions, encoding="utf-8")
    clean = {"decontamination_filter": {"paths": [str(tmp_path / "benchmark.txt")], "max_similarity": None}}
    export = run_recipe(write_recipe(tmp_path, [SELECTION[1], clean], data))
    assert 0 < len(read_jsonl(export)) < 60
    assert verify(data, export).code == 0
    spoil(export, lambda rows: rows[1:])
    assert verify(data, export).code == 1


FILTERS = [
    {"sample_score_filter": {"scorer": "tests.user_scorers:ByLength", "min_score": 60}},
    {"instruction_tag_mapper": {}},
]


def test_a_recipe_that_only_scores_tags_and_filters(verify, data, tmp_path):
    export = run_recipe(write_recipe(tmp_path, FILTERS, data))
    found = verify(data, export)
    kept = len(read_jsonl(export))
    assert (found.code, found.count("kept"), found.count("filtered out")) == (0, kept, 120 - kept)
    assert 0 < kept < 120


def test_rows_that_are_missing_doubled_or_changed_behind_filters_are_found(verify, data, tmp_path):
    process = [{"sample_score_filter": {"scorer": "tests.user_scorers:ByLength", "min_score": 60}}]
    export = run_recipe(write_recipe(tmp_path, process, data))
    rows = read_jsonl(export)
    (stats,) = export.parent.glob("*_stats.jsonl")
    stats.unlink()
    for wrong, sentence in (
        (rows[1:], "but the filters dropped"),
        ([*rows, rows[0]], "no counterpart in INPUT"),
        ([rows[0] | {"output": "changed"}, *rows[1:]], "no counterpart in INPUT"),
    ):
        write_jsonl(export, wrong)
        found = verify(data, export)
        assert found.code == 1
        assert VIOLATED in found.text
        assert sentence in found.text


GATE_ALONE = {"quality_gate_filter": {"scorer": "tests.user_scorers:ByLength", "score_all": True}}


def bounded(gate: dict) -> dict:
    return {"quality_gate_filter": {**gate["quality_gate_filter"], "min_score": 60}}


@pytest.mark.parametrize(
    ("process", "kept"),
    [
        ([BUDGET], 30),
        ([FILTERS[0], {"budget_selector": {"select_num": 60}}, BUDGET], 30),
        ([GATE_ALONE], 120),
        ([bounded(GATE_ALONE), BUDGET], 30),
    ],
    ids=["a budget", "a filter and two budgets", "a gate", "a gate and a budget"],
)
def test_filters_of_every_kind_account_for_the_rows_that_they_drop(verify, data, tmp_path, process, kept):
    export = run_recipe(write_recipe(tmp_path, process, data))
    found = verify(data, export)
    assert (found.code, found.count("kept"), found.count("filtered out")) == (0, kept, 120 - kept)
    assert "What is not proved" not in found.text
    rows = read_jsonl(export)
    for stats in export.parent.glob("*_stats.jsonl"):
        stats.unlink()
    for wrong in (rows[1:], [*rows, rows[0]], [rows[0] | {"output": "changed"}, *rows[1:]]):
        write_jsonl(export, wrong)
        assert verify(data, export).code == 1


def test_rows_that_the_loader_drops_are_on_record(verify, tmp_path, embedded_rows):
    rows = [row | {"output": None if at in (3, 5) else row["output"]} for at, row in enumerate(embedded_rows)]
    data = write_jsonl(tmp_path / "in.jsonl", rows)
    export = run_recipe(write_recipe(tmp_path, FILTERS, data, text_keys=["instruction", "output"]))
    found = verify(data, export)
    assert found.code == 0
    assert "Data-Juicer's loader dropped 2 rows without a value" in found.text
    (stats,) = export.parent.glob("*_stats.jsonl")
    stats.unlink()
    spoil(export, lambda rows: rows[1:])
    found = verify(data, export)
    assert found.code == 1
    assert "on record, and Data-Juicer's loader 2." in found.text


def test_rows_that_a_mapper_changed_are_told_by_their_number_alone(verify, data, tmp_path):
    change = "lambda row: {**row, 'output': row['output'].upper()}"
    process = [*FILTERS, {"python_lambda_mapper": {"lambda_str": change}}]
    found = verify(data, run_recipe(write_recipe(tmp_path, process, data)))
    assert found.code == 0
    assert found.count("filtered out") == 0
    assert "no counterpart in INPUT that is exactly the same" in found.text


def test_what_other_filters_take_from_a_recipe_without_selection_is_said(verify, data, tmp_path):
    process = [*FILTERS, {"text_length_filter": {"text_key": "instruction", "min_len": 40}}]
    found = verify(data, run_recipe(write_recipe(tmp_path, process, data)))
    assert found.code == 0
    assert "text_length_filter may have removed others" in found.text


def test_a_selection_from_rows_that_the_recipe_has_changed(verify, data, tmp_path):
    upper = {"python_lambda_mapper": {"lambda_str": "lambda row: {**row, 'output': row['output'].upper()}"}}
    export = run_recipe(write_recipe(tmp_path, [upper, SELECTION[1]], data))
    found = verify(data, export)
    assert found.code == 0
    assert "python_lambda_mapper may have changed them" in found.text
    spoil(export, lambda rows: rows[1:])
    assert verify(data, export).code == 1


def test_what_cannot_be_read_is_told_in_a_sentence(verify, data, finished, tmp_path):
    for arguments, sentence in [
        ((data, tmp_path / "none.jsonl"), "There is no file or folder"),
        ((tmp_path / "none.jsonl", finished), "There is no file or folder"),
        ((data, data), "is not an export of a run with MergeIT-ops"),
        ((data, finished, "--work-dir", tmp_path), "is not the work dir of a run"),
    ]:
        found = verify(*arguments)
        assert found.code == 2
        assert sentence in found.text
    (tmp_path / "broken.jsonl").write_text("{", encoding="utf-8")
    assert verify(tmp_path / "broken.jsonl", finished).code == 2


@pytest.mark.parametrize("rows", [(), ("--rows", "-")])
def test_a_reader_that_goes_away_does_not_change_the_exit_code(data, spoiled, rows):
    spoil(spoiled, lambda found: found[1:])
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "mergeit_ops", "verify", str(data), str(spoiled), *rows]
    with os.fdopen(writing, "wb") as gone:
        assert subprocess.run(command, stdout=gone, stderr=subprocess.DEVNULL, check=False).returncode == 1


def test_copies_are_told_apart_without_lineage_too(verify, tmp_path, embedded_rows):
    # Of four copies two pairs are merged, into the same text.
    rows = [{name: value for name, value in row.items() if name != "id"} for row in embedded_rows[:10]] * 4
    data = write_jsonl(tmp_path / "in.jsonl", rows)
    grouper, _, *others = pipeline(gamma=0.1)
    export = run_recipe(write_recipe(tmp_path, [grouper, *others], data, keep_stats_in_res_ds=False))
    lineage_of = export.with_name("export_stats.jsonl")
    merged = [row for row in read_jsonl(lineage_of) if row[META]["merge_status"] == "merged"]
    texts = Counter(json.dumps(row) for row in read_jsonl(export))
    lineage_of.unlink()
    found = verify(data, export)
    assert max(texts.values()) > 1
    assert merged
    assert VIOLATED not in found.text


def test_metadata_that_are_none_are_no_violation(verify, data, spoiled):
    spoil(spoiled, lambda rows: [rows[0] | {META: [1]}, *rows[1:]])
    found = verify(data, spoiled)
    assert found.code == 2
    assert "row 1, column __dj__meta__: a mapping was expected, got [1]" in found.text


def test_an_operator_whose_name_tells_nothing_may_have_done_anything():
    from mergeit_ops.runs.recipe_steps import RecipeSlice

    names = ("drop_odd", "text_length_filter", "topic_reverse_grouper", "budget_selector", "clean_mapper")
    roles = {name: OPERATORS.modules[name].role_in({}) for name in names if name.startswith(("topic", "budget"))}
    found = RecipeSlice(names, roles)
    assert found.takers == ("drop_odd", "text_length_filter", "budget_selector", "clean_mapper")
    assert found.changers == ("drop_odd", "clean_mapper")


def test_operators_of_ours_say_whether_they_change_rows():
    from mergeit_ops.runs.recipe_steps import RecipeSteps

    names = ("sentence_embedding_mapper", "tag_normalization_mapper", "tag_coverage_selector")
    roles = {name: OPERATORS.modules[name].role_in({}) for name in names}
    assert RecipeSteps(names[1:], roles).before_ours().changers == ("tag_normalization_mapper",)
    assert RecipeSteps(names, roles).behind("selector").changers == ()
    assert RecipeSteps(names, roles).before_ours().changers == ()


@pytest.mark.usefixtures("ray_cluster")
class TestOnRay:
    """The same law on what Ray has written."""

    @pytest.fixture
    def run(self, tmp_path, data):
        def run(process: list[dict], *overrides: str) -> Path:
            folder = str(tmp_path / "ray" / "export")
            return run_recipe_on_ray(write_recipe(tmp_path, process, data), "--export_path", folder, *overrides)

        return run

    @pytest.mark.parametrize("kind", ["jsonl", pytest.param("parquet", marks=pytest.mark.slow)])
    def test_it_holds(self, verify, data, run, kind):
        found = verify(data, run(pipeline(gamma=1.4), "--export_type", kind))
        assert (found.code, "What is not proved" in found.text) == (0, False)
        assert found.count("restored") > 0

    def test_rows_removed_doubled_and_changed_are_found(self, verify, data, run):
        export = run(pipeline(gamma=1.4))
        (part,) = export.iterdir()
        rows = read_export(export)
        for changed, count in [
            (rows[1:], "lost"),
            ([*rows, rows[0]], "doubled"),
            ([row | {"output": "x"} if row is first(rows, "original") else row for row in rows], "changed"),
        ]:
            write_jsonl(part, changed)
            found = verify(data, export)
            assert found.code == 1
            assert found.count(count) > 0
        write_jsonl(part, rows)
        shutil.rmtree(work_dir_of(export))
        assert verify(data, export).code == 2

    @pytest.mark.slow
    def test_two_runs_into_one_folder_are_found(self, verify, data, run):
        run(pipeline(gamma=1.4))
        found = verify(data, run(pipeline(gamma=1.4)))
        assert found.code == 1
        assert found.count("doubled") == found.count("entered the merger")

    def test_rows_without_lineage_are_told_by_their_content(self, verify, tmp_path, embedded_rows):
        """Where a dataset brings metadata, Data-Juicer leaves none in an export on Ray if told to keep no stats."""
        data = write_jsonl(tmp_path / "in.jsonl", [row | {META: {"lang": "en"}} for row in embedded_rows])
        recipe = write_recipe(tmp_path, pipeline(gamma=1.4), data, keep_stats_in_res_ds=False)
        export = run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "ray" / "export"))
        assert META not in read_export(export)[0]
        found = verify(data, export)
        assert found.code == 0
        assert "identified by" in found.text

    def test_a_selection(self, verify, data, run):
        found = verify(data, run([*SELECTION, {"topic_reverse_grouper": {}}]))
        assert (found.code, found.count("lost")) == (0, 0)
