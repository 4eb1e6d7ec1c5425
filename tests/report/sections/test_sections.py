"""All sections of a page together: they agree with each other, and nothing is invented where nothing is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from mergeit_ops.report import sections
from mergeit_ops.report.sections import SECTIONS, build_sections
from mergeit_ops.report.sections.funnel import funnel
from tests.recipe_runs import run_recipe, run_recipe_on_ray, write_jsonl, write_recipe
from tests.report.exports import merged, original, restored, surveyed, write_export
from tests.test_whole_runs import pipeline


def test_each_section_has_a_line_and_a_template_and_the_last_shows_the_notes():
    folder = Path(sections.__file__).parent
    assert sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__") == sorted(SECTIONS)
    assert sorted(path.stem for path in folder.glob("*.html")) == sorted(SECTIONS)
    assert SECTIONS[-1] == "about"


@pytest.mark.slow
def test_a_run_on_ray_adds_up_too(tmp_path, embedded_rows, ray_cluster):
    data = write_jsonl(tmp_path / "in.jsonl", embedded_rows)
    run = surveyed(run_recipe_on_ray(write_recipe(tmp_path, pipeline(gamma=1.4), data)))
    found = build_sections(run)
    steps = found["funnel"].values["steps"]
    # The gate's record is written when the process of the run ends, which is this one.
    assert [step.name for step in steps[:3]] == ["Came to MergeIT-ops", "Selected", "Merged"]
    assert steps[-1].rows == run.survey.rows
    lines = found["topics"].data["lines"]
    assert sum(line["size"] for line in lines) == 120
    assert sum(line["selected"] for line in lines) == steps[1].rows
    assert found["gamma"].values["sweep"].known
    assert found["gamma"].values["sweep"].agrees


def test_without_records_only_the_export_speaks(tmp_path):
    rows = [original(0, "x"), merged(0, "a"), *restored(1, "b"), original(1, "y", group_id="f", error="refused")]
    run = surveyed(write_export(tmp_path / "e.jsonl", rows))
    found = build_sections(run)
    assert [(step.name, step.rows) for step in funnel(run)] == [("Entered the merger", 6), ("In the export", 5)]
    assert found["reasons"].values["parts"] == {
        "Merges that failed": [("refused", "The model refused", 1)],
        "Merges that the gate took apart": [("score", "Not good enough for gamma", 1)],
    }
    assert "costs" not in found
    assert [line["size"] for line in found["topics"].data["lines"]] == [None, None]
    assert not found["gamma"].values["sweep"].known
    assert any("--work-dir" in note for note in found["about"].values["notes"])


def test_merges_without_a_gate_have_no_what_if(tmp_path):
    found = build_sections(surveyed(write_export(tmp_path / "e.jsonl", [merged(0, "a", None, None)])))
    assert "gamma" not in found
    assert "quality" not in found
    assert len(found["merges"].data["items"]) == 1
    assert any("quality" in note for note in found["about"].values["notes"])


def test_a_selection_has_topics_and_no_merges(tmp_path, embedded_rows):
    process = [
        {"topic_cluster_grouper": {"num_clusters": 3}},
        {"facility_location_selector": {"select_ratio": 0.5}},
        {"topic_reverse_grouper": {}},
    ]
    data = write_jsonl(tmp_path / "in.jsonl", embedded_rows)
    export = run_recipe(write_recipe(tmp_path, process, data))
    run = surveyed(export, sample=200, inputs=[data])
    found = build_sections(run)
    assert [step.rows for step in funnel(run)] == [120, 60]
    comparison = found["beside"].values["comparison"]
    assert comparison.result.rows == comparison.drawn.rows == 60
    assert comparison.result.coverage > comparison.drawn.coverage
    assert len(found["topics"].data["lines"]) == 3
    assert {"merges", "gamma"} & set(found) == set()
