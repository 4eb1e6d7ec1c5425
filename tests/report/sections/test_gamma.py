"""Outcomes of other gammas: the run itself is among them, and a run with another gamma decides as predicted."""

from __future__ import annotations

from mergeit_ops.core.columns import STATS
from mergeit_ops.report.sections.gamma import build, gamma_sweep
from tests.recipe_runs import run_recipe, write_jsonl, write_recipe
from tests.report.exports import merged, restored, scores, surveyed, write_export, write_records
from tests.test_whole_runs import pipeline


def test_it_holds_the_run_itself_and_what_other_runs_decide(whole_run, tmp_path, embedded_rows):
    run = surveyed(whole_run[0])
    sweep = gamma_sweep(run)
    assert sweep.known
    assert sweep.agrees
    assert sweep.outcomes[sweep.start].gamma == 1.4
    assert sweep.outcomes[sweep.start].rows == run.survey.rows
    other = write_recipe(tmp_path, pipeline(gamma=1.2), write_jsonl(tmp_path / "in.jsonl", embedded_rows))
    actual = surveyed(run_recipe(other)).survey
    (predicted,) = [outcome for outcome in sweep.outcomes if outcome.gamma == 1.2]
    assert predicted.passing == actual.statuses["merged"]
    assert predicted.rows == actual.rows


def test_the_rule_of_the_recipe_is_the_one_that_is_asked(tmp_path):
    rows = [merged(0, "a", 2.0, 2.0), *restored(0, "b", 2.0, 1.0), merged(0, "c", 2.0, 4.0)]
    rows[0][STATS] |= scores(2.0, 2.0, 2.0, coverage=0.9)
    rows[-1][STATS] |= scores(2.0, 4.0, 4.0, coverage=0.5)
    export = write_export(tmp_path / "e.jsonl", rows)
    parameters = {"gamma": 1.0, "strict": False, "reference": "max", "min_parent_coverage": 0.4}
    write_records(tmp_path / "job", {"operator": "quality_gate_filter", "parameters": parameters})
    sweep = gamma_sweep(surveyed(export))
    assert (sweep.rule.gamma, sweep.rule.strict, sweep.rule.min_parent_coverage) == (1.0, False, 0.4)
    at = {outcome.gamma: outcome for outcome in sweep.outcomes}
    # b has no coverage on record, so it passes nowhere.
    assert [at[gamma].passing for gamma in (0.5, 1.0, 1.01, 2.0)] == [2, 2, 1, 1]
    assert [at[gamma].rows for gamma in (0.5, 1.0, 1.01, 2.0)] == [4, 4, 5, 5]


def test_answers_that_are_not_on_record_are_owned_up_to(tmp_path):
    export = write_export(tmp_path / "e.jsonl", [merged(0, "a"), *restored(0, "b")])
    write_records(
        tmp_path / "job",
        {"operator": "llm_pair_merger_mapper", "parameters": {"num_candidates": 3}},
        {"operator": "quality_gate_filter", "parameters": {"gamma": 1.0, "min_parent_coverage": 0.5}},
    )
    run = surveyed(export)
    assert build(run) is not None
    assert any("several answers" in note for note in run.notes)


def test_without_scores_it_is_left_out_and_a_note_says_why(tmp_path):
    run = surveyed(write_export(tmp_path / "e.jsonl", [merged(0, "a", None, None)]))
    assert build(run) is None
    assert any("No merge has a quality score" in note for note in run.notes)
