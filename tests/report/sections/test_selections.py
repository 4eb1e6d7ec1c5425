"""What selections chose, as the report shows it."""

from __future__ import annotations

from mergeit_ops.report.page import page
from mergeit_ops.report.sections.selections import build
from tests.recipe_runs import run_recipe, write_jsonl, write_recipe
from tests.report.exports import original, surveyed, write_export


def test_scores_target_and_tokens_of_the_chosen_rows_stand_beside_those_of_all(tmp_path, embedded_rows):
    rows = [row | {"votes": float(number)} for number, row in enumerate(embedded_rows[:40])]
    (tmp_path / "target.txt").write_text(rows[3]["instruction"], encoding="utf-8")
    select = {
        "facility_location_selector": {
            "select_tokens": 400,
            "score_key": "votes",
            "score_weight": 0.9,
            "target_path": str(tmp_path / "target.txt"),
        }
    }
    run = surveyed(run_recipe(write_recipe(tmp_path, [select], write_jsonl(tmp_path / "in.jsonl", rows))))
    (told,) = build(run).values["selections"]
    figures = {label: (chosen, everything) for label, chosen, everything, _ in told["measures"]}
    assert figures["Mean score"][0] > figures["Mean score"][1] == 19.5
    assert figures["Tokens, estimated"][0] <= 400 < figures["Tokens, estimated"][1]
    assert 0 <= figures["Similarity to the target"][0] <= 1
    assert (told["operator"], told["of"]) == ("facility_location_selector", 40)
    html = page(run)
    assert "What was chosen" in html
    assert "Similarity to the target" in html


def test_rows_that_a_bound_left_out_are_counted(tmp_path, embedded_rows):
    rows = [*embedded_rows[:20], *embedded_rows[:5]]
    recipe = write_recipe(tmp_path, [{"semantic_deduplicator": {}}], write_jsonl(tmp_path / "in.jsonl", rows))
    (told,) = build(surveyed(run_recipe(recipe))).values["selections"]
    assert told["too_alike"] >= 5
    assert told["rows"] + told["too_alike"] == told["of"] == 25


def test_a_run_without_such_a_selection_has_no_section(tmp_path):
    assert build(surveyed(write_export(tmp_path / "e.jsonl", [original(0, "x")]))) is None
