"""The summary line of a run: what several operators of one kind took is all in it."""

from __future__ import annotations

import pytest

from mergeit_ops.dataset.manifest import log_summary, recorded
from mergeit_ops.dataset.summary import summary_of
from tests.llm_server import FakeLLMServer
from tests.planted_pairs import planted_rows
from tests.recipe_runs import run_recipe, write_jsonl, write_recipe


def test_costs_of_several_operators_are_added_and_no_scoring_is_forgotten(tmp_path, lines):
    for calls, cost in ((3, 0.25), (5, 0.5)):
        with recorded("llm_pair_merger_mapper", {}, str(tmp_path)) as manifest:
            manifest.figures |= {"rows_in": 9, "topics": 2, "calls": calls, "cost": cost}
        with recorded("quality_gate_filter", {}, str(tmp_path)) as manifest:
            manifest.figures |= {"scoring": {"calls": 10 * calls}}
    log_summary(str(tmp_path))
    assert "rows in 9; " in lines[-1]
    assert "topics 2; " in lines[-1]
    assert "calls 8; cost 0.75; " in lines[-1]
    assert "scoring (calls 30)" in lines[-1]
    assert "scoring 2 (calls 50)" in lines[-1]


def summary(figures):
    return summary_of([{"seconds": 1} | part for part in figures])


def gate(accepted, rejected, filtered=0, **more):
    return {"accepted": accepted, "rejected": {"score": rejected}, "restored_rows": 2 * rejected} | {
        "filtered_out": filtered,
        **more,
    }


def test_of_gates_in_a_row_the_last_tells_what_is_accepted():
    merger = {"rows_in": 200, "rows_out": 114, "pairs": 86, "merged": 86, "failed": {"api_failed": 1}}
    found = summary(
        [{"rows_in": 220, "rows_out": 200, "rejected": {}, "filtered_out": 20}, merger, gate(80, 6), gate(79, 1)]
    )
    assert (found["pairs"], found["merged"], found["accepted"]) == (86, 86, 79)
    assert (found["rejected"], found["restored_rows"], found["filtered_out"]) == ({"score": 7}, 14, 20)


def test_of_two_mergers_pairs_and_fates_are_added():
    first = {"pairs": 10, "merged": 9, "failed": {"api_failed": 1}, "unmergeable": {"multi_turn": 3}}
    second = {"pairs": 4, "merged": 2, "failed": {"api_failed": 1, "refused": 1}, "unmergeable": {"multi_turn": 3}}
    found = summary([gate(5, 0), first, gate(7, 2), second, gate(1, 1)])
    assert (found["pairs"], found["merged"], found["accepted"]) == (14, 11, 8)
    assert found["failed"] == {"api_failed": 2, "refused": 1}
    # The second merger meets the rows of the first.
    assert found["unmergeable"] == {"multi_turn": 3}
    assert found["rejected"] == {"score": 3}


def test_without_a_merger_the_merges_that_came_along_count():
    assert summary([gate(5, 1, 2)])["accepted"] == 5


@pytest.mark.parametrize(
    ("merger", "gamma", "words"),
    [
        ({}, 0.75, "none of 2 pairs has a merge. Most frequent reason: the answer could not be read (unparsable, 2)"),
        ({"merge_strategy": "concat"}, 100.0, "the gate rejected all 2 merges. Most frequent reason: not good"),
    ],
)
def test_a_run_that_merged_nothing_ends_with_the_reason(merger, gamma, words, tmp_path, lines):
    with FakeLLMServer(lambda body: "No.") as server:
        asking = {"model_params": {"base_url": server.base_url}, "max_failure_ratio": 1.0, **merger}
        process = [
            {"topic_cluster_grouper": {"num_clusters": 1}},
            {"llm_pair_merger_mapper": asking},
            {"quality_gate_filter": {"scorer": "tests.user_scorers:ByLength", "gamma": gamma}},
        ]
        run_recipe(write_recipe(tmp_path, process, write_jsonl(tmp_path / "in.jsonl", planted_rows(2))))
    last = [line for line in lines if line.startswith("MergeIT summary: ")][-1]
    assert words in last


@pytest.mark.parametrize(
    "selector", [{"budget_selector": {"select_num": 3}}, {"diversity_selector": {"select_num": 3}}], ids=str
)
def test_the_summary_after_a_selector_behind_a_merger_tells_the_rows_of_the_export(selector, tmp_path, lines):
    process = [
        {"topic_cluster_grouper": {"num_clusters": 1}},
        {"llm_pair_merger_mapper": {"merge_strategy": "concat"}},
        selector,
    ]
    run_recipe(write_recipe(tmp_path, process, write_jsonl(tmp_path / "in.jsonl", planted_rows(4))))
    last = [line for line in lines if line.startswith("MergeIT summary: ")][-1]
    assert "rows in 8; rows out 3; " in last


def test_a_recipe_that_only_selects_has_no_summary(tmp_path, lines):
    process = [{"budget_selector": {"select_num": 3}}]
    run_recipe(write_recipe(tmp_path, process, write_jsonl(tmp_path / "in.jsonl", planted_rows(4))))
    assert not [line for line in lines if line.startswith("MergeIT summary: ")]
