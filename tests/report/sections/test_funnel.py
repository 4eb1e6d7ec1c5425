"""The way from rows in to rows out: each step is the one before plus its change."""

from __future__ import annotations

from itertools import pairwise

from mergeit_ops.report.sections.funnel import funnel
from tests.report.exports import merged, surveyed, write_export, write_records


def test_the_funnel_of_a_whole_run_adds_up(whole_run):
    export, data = whole_run
    run = surveyed(export, inputs=[data])
    steps, found = funnel(run), run.survey
    assert [step.name for step in steps] == ["Input", "Selected", "Merged", "Gated"]
    assert steps[0].rows == 120
    assert steps[-1].rows == found.rows
    for before, after in pairwise(steps):
        assert after.rows == before.rows + after.change
    accepted = sum(merge.rejected is None for merge in found.merges)
    assert 0 < accepted < len(found.merges)
    assert steps[2].change == -len(found.merges)
    assert steps[3].change == len(found.merges) - accepted
    assert found.rows_entered == steps[1].rows


def test_rewritten_rows_are_a_step_that_changes_no_number(tmp_path):
    export = write_export(tmp_path / "e.jsonl", [merged(0, "a")])
    figures = {"rows_in": 1, "rows_out": 1, "rewritten": 1}
    write_records(tmp_path / "job", {"operator": "instruction_rewrite_mapper", "figures": figures})
    (step,) = [step for step in funnel(surveyed(export)) if step.name == "Rewritten"]
    assert (step.rows, step.change, step.note) == (1, 0, "1 row rewritten")


def test_texts_that_made_a_sample_are_a_step_and_those_that_are_dropped_are_missing_in_it(tmp_path):
    export = write_export(tmp_path / "e.jsonl", [merged(0, "a")])
    figures = {"rows_in": 3, "rows_out": 1, "backtranslated": 1, "filtered_out": 2}
    write_records(tmp_path / "job", {"operator": "backtranslation_mapper", "figures": figures})
    (step,) = [step for step in funnel(surveyed(export)) if step.name == "Backtranslated"]
    assert (step.rows, step.change, step.note) == (1, -2, "1 text made a sample")


def test_rows_filtered_out_after_the_gate_are_a_step(tmp_path):
    export = write_export(tmp_path / "e.jsonl", [merged(0, "a")])
    write_records(
        tmp_path / "job",
        {"operator": "llm_pair_merger_mapper", "figures": {"rows_in": 5, "rows_out": 3, "merged": 2}},
        {"operator": "quality_gate_filter", "figures": {"rows_in": 3, "rows_out": 3, "accepted": 2, "filtered_out": 1}},
    )
    assert [(step.name, step.rows, step.change) for step in funnel(surveyed(export))] == [
        ("Came to MergeIT-ops", 5, 0),
        ("Merged", 3, -2),
        ("Gated", 4, 1),
        ("Kept by score", 3, -1),
        ("In the export", 1, -2),
    ]
