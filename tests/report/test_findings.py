"""What a report says of a run: figures that add up, nothing invented where nothing is known."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import pairwise

import pytest

from mergeit_ops.core.columns import STATS
from mergeit_ops.errors import DatasetError
from mergeit_ops.report.browser import chosen, texts_of, within
from mergeit_ops.report.findings import find
from mergeit_ops.runs import read_run
from tests.recipe_runs import run_recipe, run_recipe_on_ray, write_jsonl, write_recipe
from tests.report.exports import content, merged, original, restored, scores, write_export, write_records
from tests.test_whole_runs import in_layout, pipeline


def found(export, **options):
    return find(read_run(export), **{"sample": 0, "say": lambda line: None} | options)


@pytest.fixture(scope="module")
def real(tmp_path_factory, embedded_rows):
    """A whole run: 120 rows, of which some merges pass and some do not."""
    folder = tmp_path_factory.mktemp("real")
    data = write_jsonl(folder / "in.jsonl", embedded_rows)
    return run_recipe(write_recipe(folder, pipeline(gamma=1.4), data)), data


def test_the_funnel_of_a_whole_run_adds_up(real):
    export, data = real
    findings = found(export, input_path=data)
    stages = findings.stages
    assert [stage.name for stage in stages] == ["Input", "Selected", "Merged", "Gated"]
    assert stages[0].rows == 120
    assert stages[-1].rows == findings.survey.rows
    for before, after in pairwise(stages):
        assert after.rows == before.rows + after.change
    accepted = sum(merge.rejected is None for merge in findings.survey.merges)
    assert 0 < accepted < len(findings.survey.merges)
    assert stages[2].change == -len(findings.survey.merges)
    assert stages[3].change == len(findings.survey.merges) - accepted
    assert findings.survey.rows_entered == stages[1].rows


def test_the_topics_of_a_whole_run_add_up(real):
    findings = found(real[0])
    assert sum(line.size for line in findings.topics) == 120
    assert sum(line.rows for line in findings.topics) == findings.survey.rows
    assert sum(line.selected for line in findings.topics) == findings.survey.rows_entered
    assert sum(line.merged for line in findings.topics) == findings.survey.statuses["merged"]
    assert sum(line.restored for line in findings.topics) == findings.survey.statuses["restored"]
    assert all(line.words for line in findings.topics)


def test_a_run_on_ray_adds_up_too(tmp_path, embedded_rows, ray_cluster):
    data = write_jsonl(tmp_path / "in.jsonl", embedded_rows)
    export = run_recipe_on_ray(write_recipe(tmp_path, pipeline(gamma=1.4), data))
    findings = found(export)
    # The gate's record is written when the process of the run ends, which is this one.
    assert [stage.name for stage in findings.stages[:3]] == ["Came to MergeIT-ops", "Selected", "Merged"]
    assert findings.stages[-1].rows == findings.survey.rows
    assert sum(line.size for line in findings.topics) == 120
    assert sum(line.selected for line in findings.topics) == findings.stages[1].rows
    assert findings.what_if.known
    assert findings.what_if.agrees


def test_what_if_holds_the_run_itself_and_what_other_runs_decide(real, tmp_path, embedded_rows):
    what_if = found(real[0]).what_if
    assert what_if.known
    assert what_if.agrees
    assert what_if.outcomes[what_if.start].gamma == 1.4
    assert what_if.outcomes[what_if.start].rows == found(real[0]).survey.rows
    other = write_recipe(tmp_path, pipeline(gamma=1.2), write_jsonl(tmp_path / "in.jsonl", embedded_rows))
    actual = found(run_recipe(other)).survey
    (predicted,) = [outcome for outcome in what_if.outcomes if outcome.gamma == 1.2]
    assert predicted.passing == actual.statuses["merged"]
    assert predicted.rows == actual.rows


def test_the_rule_of_the_recipe_is_the_one_that_is_asked(tmp_path):
    rows = [merged(0, "a", 2.0, 2.0), *restored(0, "b", 2.0, 1.0), merged(0, "c", 2.0, 4.0)]
    rows[0][STATS] |= scores(2.0, 2.0, 2.0, coverage=0.9)
    rows[-1][STATS] |= scores(2.0, 4.0, 4.0, coverage=0.5)
    export = write_export(tmp_path / "e.jsonl", rows)
    parameters = {"gamma": 1.0, "strict": False, "reference": "max", "min_parent_coverage": 0.4}
    write_records(tmp_path / "job", {"operator": "quality_gate_filter", "parameters": parameters})
    what_if = found(export).what_if
    assert (what_if.rule.gamma, what_if.rule.strict, what_if.rule.min_parent_coverage) == (1.0, False, 0.4)
    at = {outcome.gamma: outcome for outcome in what_if.outcomes}
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
    assert any("Several answers" in note for note in found(export).notes)


def test_without_records_only_the_export_speaks(tmp_path):
    rows = [original(0, "x"), merged(0, "a"), *restored(1, "b"), original(1, "y", group_id="f", error="refused")]
    findings = found(write_export(tmp_path / "e.jsonl", rows))
    assert [(stage.name, stage.rows) for stage in findings.stages] == [("Entered the merger", 6), ("In the export", 5)]
    assert findings.failed == {"refused": 1}
    assert findings.rejected == {"score": 1}
    assert findings.costs == []
    assert [line.size for line in findings.topics] == [None, None]
    assert findings.what_if is not None
    assert not findings.what_if.known
    assert any("--work-dir" in note for note in findings.notes)


def test_a_failed_merge_of_two_rows_is_one_merge(tmp_path):
    rows = [original(0, name, group_id="g", error="api_failed") for name in "ab"]
    assert found(write_export(tmp_path / "e.jsonl", rows)).failed == {"api_failed": 1}


def test_merges_without_a_gate_have_no_what_if(tmp_path):
    findings = found(write_export(tmp_path / "e.jsonl", [merged(0, "a", None, None)]))
    assert findings.what_if is None
    assert findings.quality == {}
    assert len(findings.shown) == 1
    assert any("quality" in note for note in findings.notes)


def test_a_selection_has_topics_and_no_merges(tmp_path, embedded_rows):
    process = [
        {"topic_cluster_grouper": {"num_clusters": 3}},
        {"facility_location_selector": {"select_ratio": 0.5}},
        {"topic_reverse_grouper": {}},
    ]
    data = write_jsonl(tmp_path / "in.jsonl", embedded_rows)
    export = run_recipe(write_recipe(tmp_path, process, data))
    findings = found(export, sample=200, input_path=data)
    assert [stage.rows for stage in findings.stages] == [120, 60]
    assert findings.comparison.result.rows == findings.comparison.drawn.rows == 60
    assert findings.comparison.result.coverage > findings.comparison.drawn.coverage
    assert len(findings.topics) == 3
    assert findings.shown == []
    assert findings.what_if is None


def test_rows_filtered_out_after_the_gate_are_a_stage(tmp_path):
    export = write_export(tmp_path / "e.jsonl", [merged(0, "a")])
    write_records(
        tmp_path / "job",
        {"operator": "llm_pair_merger_mapper", "figures": {"rows_in": 5, "rows_out": 3, "merged": 2}},
        {"operator": "quality_gate_filter", "figures": {"rows_in": 3, "rows_out": 3, "accepted": 2, "filtered_out": 1}},
    )
    stages = [(stage.name, stage.rows, stage.change) for stage in found(export).stages]
    assert stages == [
        ("Came to MergeIT-ops", 5, 0),
        ("Merged", 3, -2),
        ("Gated", 4, 1),
        ("Kept by score", 3, -1),
        ("In the export", 1, -2),
    ]


def test_what_went_in_is_told_from_the_export_or_from_the_input(real, embedded_rows):
    export, data = real
    from_export = found(export, sample=500)
    assert from_export.reference == "what entered the merger"
    assert from_export.comparison.pool.rows == from_export.survey.rows_entered
    from_input = found(export, sample=500, input_path=data).comparison
    assert (from_input.pool.rows, from_input.share) == (120, 1)
    assert from_input.pool.coverage == pytest.approx(1, abs=1e-6)
    assert from_input.drawn.rows == from_input.result.rows
    assert from_input.drawn.coverage < 1
    assert from_export.map is not None
    assert len(from_export.map.places) == from_export.survey.rows


def test_in_and_out_are_thinned_alike(real):
    export, data = real
    comparison = found(export, sample=60, input_path=data).comparison
    assert comparison.share == pytest.approx(0.5, abs=0.1)
    assert comparison.drawn.rows == round(comparison.share * found(export).survey.rows)
    assert comparison.result.rows == pytest.approx(comparison.drawn.rows, abs=12)


def test_a_selection_alone_is_not_compared_with_itself(tmp_path):
    findings = found(write_export(tmp_path / "e.jsonl", [original(0, name) for name in "abcdef"]), sample=9)
    assert findings.comparison is None
    assert any("--input" in note for note in findings.notes)


def test_where_not_all_merges_fit_the_worst_and_the_best_are_shown(tmp_path):
    rows = [merged(0, f"m{i}", 2.0, 2.0 + i / 100, text=content("x", "y" * 900)) for i in range(60)]
    run = read_run(write_export(tmp_path / "e.jsonl", rows))
    merges = found(run.export).survey.merges
    keys = chosen(merges)
    assert sorted(keys) == list(range(1, 61))
    assert keys == chosen(merges)
    assert chosen(merges, 20) == keys[:20]
    fitting = within(texts_of(run.rows(), run.layout(), merges, keys), 20_000)
    assert 4 < len(fitting) < 30
    assert sum(shown.size for shown in fitting) <= 20_000
    ratios = [shown.merge.ratio for shown in fitting]
    assert min(ratios) == 1.0
    assert max(ratios) == pytest.approx(2.59 / 2)
    assert any(1.05 < ratio < 1.24 for ratio in ratios)


def test_long_texts_are_cut_and_the_cut_is_counted(tmp_path):
    row = merged(0, "a", text=content("Ask.", "z" * 100_000))
    (shown,) = found(write_export(tmp_path / "e.jsonl", [row])).shown
    assert len(shown.merged[2]) == 3_000
    assert shown.merged[3:] == [0, 0, 97_000]


def test_a_rejected_merge_is_shown_with_both_parents(tmp_path):
    (shown,) = found(write_export(tmp_path / "e.jsonl", restored(0, "b"))).shown
    assert shown.merged[0] == "Both of b, badly."
    assert [parent[0] for parent in shown.parents] == ["First of b.", "Second of b."]
    assert shown.merge == replace(shown.merge, rejected="score", parents=2, before=2.0, after=1.0)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.jsonl", None, "There is no file or folder"),
        ("data.txt", "a\n", "expected one or more files"),
        ("broken.jsonl", '{"instruction"', "line 1, is not a JSON object"),
        ("odd.jsonl", '{"a": 1}\n', "no sample format fits"),
    ],
)
def test_an_input_that_cannot_be_read_is_an_error(tmp_path, name, text, message):
    export = write_export(tmp_path / "e.jsonl", [original(0, "a")])
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=f"--input: .*{message}"):
        found(export, input_path=tmp_path / name)


def test_rows_that_were_never_offered_are_no_failed_merges(tmp_path, embedded_rows):
    rows = in_layout("sharegpt", embedded_rows)
    data = write_jsonl(tmp_path / "in.jsonl", rows)
    export = run_recipe(write_recipe(tmp_path, pipeline(gamma=1.4), data, text_keys="conversations"))
    findings = found(export)
    assert findings.failed == {}
    assert findings.unmergeable["multi_turn"] > 0
    # The same without the records, from the export alone.
    for record in export.parent.rglob("manifest*"):
        shutil.rmtree(record, ignore_errors=True)
    for folder in [path for path in export.parent.rglob("*") if path.is_dir()]:
        shutil.rmtree(folder, ignore_errors=True)
    alone = found(export)
    assert alone.failed == {}
    assert alone.unmergeable == findings.unmergeable
