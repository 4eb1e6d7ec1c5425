"""The head of the page: the verdict with its intervals, and what the run was made with."""

from __future__ import annotations

import pytest

from mergeit_ops.core.measures.bootstrap import Interval
from mergeit_ops.report.head import Against, against_random, made_with
from mergeit_ops.report.page import page
from mergeit_ops.report.sections.beside import PoolComparison, SetMeasures
from tests.report.exports import merged, original, restored, surveyed, write_export, write_records

SET = SetMeasures("a set", 10, 0.9, 5.0, 0.1, 0.8)


def verdict(coverage, redundancy):
    return against_random(PoolComparison(SET, SET, SET, 1.0, coverage, redundancy))


def test_a_difference_is_better_or_worse_where_its_interval_leaves_0_out():
    assert verdict(Interval(0.05, 0.03, 0.07), Interval(-0.032, -0.047, -0.0174)) == [
        Against("coverage", "better", "+0.050 (+0.030 to +0.070)"),
        Against("redundancy", "better", "−3.2 % (−4.7 to −1.7)"),
    ]
    coverage, redundancy = verdict(Interval(-0.05, -0.07, -0.03), Interval(0.03, 0.01, 0.05))
    assert (coverage.word, redundancy.word) == ("worse", "worse")
    coverage, redundancy = verdict(Interval(0.05, -0.01, 0.11), Interval(0.03, None, None))
    assert (coverage.word, redundancy.word) == ("not clearly different", "not clearly different")
    assert redundancy.difference == "+3.0 %"


def test_the_page_says_it_in_its_head_or_where_it_says_why_not(whole_run, tmp_path):
    export, data = whole_run
    head = page(surveyed(export, sample=500, inputs=[data])).split("</header>")[0]
    assert "Compared with the same number of random rows of the input:" in head
    assert head.count("<strong>coverage ") == head.count("<strong>redundancy ") == 1
    alone = page(surveyed(write_export(tmp_path / "e.jsonl", [original(0, "x")])))
    assert "No comparison with random rows" in alone.split("</header>")[0]


def test_recipe_models_scorer_and_date_are_named(tmp_path):
    export = write_export(
        tmp_path / "e.jsonl",
        [merged(0, "a", model="served"), merged(0, "b", model="served"), *restored(0, "c"), original(0, "x")],
    )
    common = {"started": 1_795_831_069.6, "recipe": "mine.yaml"}
    write_records(
        tmp_path / "w",
        {"operator": "llm_pair_merger_mapper", "parameters": {"api_or_hf_model": "asked-for"}, **common},
        {
            "operator": "quality_gate_filter",
            "parameters": {"scorer": "llm_judge", "scorer_params": {"api_or_hf_model": "a-judge"}},
            "started": 1_795_831_099.0,
        },
    )
    run = surveyed(export)
    assert dict(made_with(run)) == {
        "Recipe": "mine.yaml",
        "Merges by": "served, a-model",
        "Scores by": "llm_judge (a-judge)",
        "Run on": "2026-11-28 01:57 UTC",
    }
    assert "mine.yaml" in page(run).split("</header>")[0]


@pytest.mark.parametrize("answered", [{"served": 3}])
def test_a_scorer_whose_server_names_another_model_is_called_by_that_one(tmp_path, answered):
    export = write_export(tmp_path / "e.jsonl", [merged(0, "a")])
    record = {
        "operator": "quality_gate_filter",
        "parameters": {"scorer": "llm_judge", "scorer_params": {"api_or_hf_model": "gpt-4o"}},
        "figures": {"scoring": {"calls": 3, "answered_as": answered}},
    }
    write_records(tmp_path / "w", record)
    assert dict(made_with(surveyed(export)))["Scores by"] == "llm_judge (served)"


def test_without_records_only_the_export_speaks(tmp_path):
    run = surveyed(write_export(tmp_path / "e.jsonl", [original(0, "x")]))
    assert list(made_with(run)) == []
