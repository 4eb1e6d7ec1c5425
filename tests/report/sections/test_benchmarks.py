"""Rows that overlapped with a benchmark, as the report shows them."""

from __future__ import annotations

from mergeit_ops.report.page import page
from mergeit_ops.report.sections.benchmarks import build
from tests.recipe_runs import run_recipe, write_jsonl, write_recipe
from tests.report.exports import original, surveyed, write_export


def test_what_was_found_is_counted_and_shown(tmp_path):
    asked = "What is question {} about, in short?"
    rows = [{"instruction": f"<b>{asked.format(number)}</b>", "input": "", "output": "x"} for number in range(4)]
    (tmp_path / "bench.txt").write_text(asked.format(2) + "\nNothing like it at all here.", encoding="utf-8")
    clean = {"decontamination_filter": {"paths": [str(tmp_path / "bench.txt")], "max_similarity": None}}
    run = surveyed(run_recipe(write_recipe(tmp_path, [clean], write_jsonl(tmp_path / "in.jsonl", rows))))
    values = build(run).values
    assert values["evidence"][0] == ("Common n-grams alone", 1)
    assert (values["total"], values["dropped"], values["files"]) == (1, 1, [("bench.txt", 1)])
    assert list(values["benchmarks"]) == ["2 rows in 1 file"]
    (hit,) = values["hits"]
    assert hit["contamination_source"] == "bench.txt:1"
    html = page(run)
    assert "Compared with 2 rows in 1 file: 1 row overlapped; 1 was removed." in html

    assert "&lt;b&gt;What is question 2 about" in html


def test_a_run_without_benchmarks_has_no_section(tmp_path):
    assert build(surveyed(write_export(tmp_path / "e.jsonl", [original(0, "x")]))) is None
