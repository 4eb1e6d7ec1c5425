"""Why merges failed: merges are counted, not their rows, and rows that were never offered are apart."""

from __future__ import annotations

import shutil

from mergeit_ops.report.reason_codes import failed, unmergeable
from mergeit_ops.report.sections.reasons import build
from tests.recipe_runs import run_recipe, write_jsonl, write_recipe
from tests.report.exports import merged, original, restored, surveyed, write_export
from tests.test_whole_runs import in_layout, pipeline


def test_a_failed_merge_of_two_rows_is_one_merge(tmp_path):
    rows = [original(0, name, group_id="g", error="api_failed") for name in "ab"]
    assert failed(surveyed(write_export(tmp_path / "e.jsonl", rows))) == {"api_failed": 1}


def test_rows_that_were_never_offered_are_no_failed_merges(tmp_path, embedded_rows):
    rows = in_layout("sharegpt", embedded_rows)
    data = write_jsonl(tmp_path / "in.jsonl", rows)
    export = run_recipe(write_recipe(tmp_path, pipeline(gamma=1.4), data, text_keys="conversations"))
    run = surveyed(export)
    assert failed(run) == {}
    assert unmergeable(run)["multi_turn"] > 0
    # The same without the records, from the export alone.
    for folder in [path for path in export.parent.rglob("*") if path.is_dir()]:
        shutil.rmtree(folder, ignore_errors=True)
    alone = surveyed(export)
    assert alone.records == ()
    assert failed(alone) == {}
    assert unmergeable(alone) == unmergeable(run)


def test_the_most_frequent_reason_comes_first_and_codes_nobody_knows_have_no_words(tmp_path):
    rows = [
        *(original(0, name, group_id=name, error="refused") for name in "ab"),
        original(0, "c", group_id="c", error="odd"),
        *restored(0, "d", rejected="coverage"),
    ]
    parts = build(surveyed(write_export(tmp_path / "e.jsonl", rows))).values["parts"]
    assert parts == {
        "Merges that failed": [("refused", "The model refused", 2), ("odd", "", 1)],
        "Merges that the gate took apart": [("coverage", "Kept too little of a parent", 1)],
    }


def test_without_reasons_there_is_no_section(tmp_path):
    assert build(surveyed(write_export(tmp_path / "e.jsonl", [merged(0, "a")]))) is None
