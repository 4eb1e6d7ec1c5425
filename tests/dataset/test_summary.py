"""The figures of a run, from those of its operators."""

import pytest

from mergeit_ops.dataset.summary import nothing_merged, price_of_merges, readable, summary_of


def test_rows_are_those_of_the_first_and_the_last_operator():
    assert summary_of([]) == {"rows_in": None, "rows_out": None, "seconds": 0}
    figures = [{"rows_in": 9, "rows_out": 8, "seconds": 1.04}, {"seconds": 0.5}, {"rows_in": 7, "rows_out": 0}]
    assert summary_of(figures) == {"rows_in": 9, "rows_out": 0, "seconds": 1.5}


def test_figures_of_several_operators_are_added_up_and_the_latest_counts_of_rows_and_texts():
    summary = summary_of(
        [
            {"topics": 4, "calls": 3, "unreadable": 2, "failed": {"a": 1, "b": 2}, "last_errors": {"a": "old"}},
            {"topics": 3, "calls": 4, "unreadable": 1, "failed": {"b": 3}, "last_errors": {"a": "new"}, "cost": 0.5},
        ]
    )
    assert (summary["topics"], summary["unreadable"], summary["calls"], summary["cost"]) == (3, 1, 7, 0.5)
    assert summary["failed"] == {"a": 1, "b": 5}
    assert summary["last_errors"] == {"a": "new"}


@pytest.mark.parametrize("backwards", [False, True])
def test_what_one_operator_does_not_know_changes_nothing(backwards):
    known = {"cost": 0.5, "dropped_parameters": ["n"], "last_errors": {"a": "x"}, "answered_as": "m"}
    both = [dict.fromkeys(known), known]
    summary = summary_of(both[::-1] if backwards else both)
    assert {name: summary[name] for name in known} == known


def test_gates_behind_a_merger_count_and_of_several_the_last_accepts():
    gate = {"rejected": {"score": 1}, "restored_rows": 2, "accepted": 5}
    again = {"rejected": {"score": 2}, "restored_rows": 4, "accepted": 3}
    summary = summary_of([gate, {"pairs": 6}, gate, again])
    assert (summary["accepted"], summary["restored_rows"], summary["rejected"]) == (3, 6, {"score": 3})
    summary = summary_of([{"pairs": 6}, gate, {"pairs": 6}, again])
    assert summary["accepted"] == 8
    # Without a merger, gates judge the merges that the dataset brings.
    assert summary_of([gate])["accepted"] == 5


def test_each_operator_that_scores_has_its_own_figures():
    summary = summary_of([{"scoring": {"calls": 1}}, {"scoring": {"calls": 2}}, {"scoring": {"calls": 3}}])
    assert [summary[name]["calls"] for name in ("scoring", "scoring_2", "scoring_3")] == [1, 2, 3]


def test_figures_are_readable():
    assert readable({}) == ""
    figures = {"rows_in": 9, "rejected": {"score": 1, "deep": {"a": 2}}, "failed": {}}
    assert readable(figures) == "rows in 9; rejected (score 1, deep (a 2)); failed none"


def test_a_merge_costs_what_the_mergers_took_for_each_that_the_last_gate_accepts():
    merger = {"pairs": 9, "merged": 8, "calls": 9, "prompt_tokens": 900, "completion_tokens": 90, "cost": 2.0}
    gate, again = {"rejected": {}, "accepted": 6}, {"rejected": {"score": 2}, "accepted": 4}
    judge = {"rejected": {}, "accepted": 4, "scoring": {"prompt_tokens": 10_000}}
    for last in (again, judge):
        assert price_of_merges([merger, gate, last]) == {"tokens_per_accepted": 247.5, "cost_per_accepted": 0.5}
    lost = merger | {"lost_prompt_tokens": 10}
    assert summary_of([lost, again])["tokens_per_accepted"] == 250.0
    assert price_of_merges([merger]) == {"tokens_per_merge": 123.8, "cost_per_merge": 0.25}


def test_nothing_is_said_about_the_price_of_merges_that_nobody_paid_for_or_that_are_not_there():
    merger = {"pairs": 9, "merged": 8, "calls": 0, "cache_hits": 9, "prompt_tokens": 0, "completion_tokens": 0}
    paid = merger | {"calls": 9, "prompt_tokens": 9}
    assert price_of_merges([merger, {"rejected": {}, "accepted": 8}]) == {}
    assert price_of_merges([paid, {"rejected": {"score": 8}}]) == {}
    assert price_of_merges([{"rejected": {}, "accepted": 8}]) == {}


def test_prices_of_two_plans_are_not_added_up():
    plan = {"pairs": 9, "planned_calls": 9, "planned_tokens_per_accepted": {"from": 100.0, "to": 200.0}}
    assert summary_of([plan])["planned_tokens_per_accepted"] == {"from": 100.0, "to": 200.0}
    both = summary_of([plan, plan])
    assert both["planned_calls"] == 18
    assert "planned_tokens_per_accepted" not in both


def test_a_run_whose_pairs_all_failed_says_why_and_what_helps():
    tagger = {"rows_in": 9, "failed": {"refused": 90}}
    merger = {"pairs": 10, "merged": 0, "failed": {"unparsable": 7, "refused": 3}}
    assert nothing_merged([tagger, merger]) == (
        "nothing was merged: none of 10 pairs has a merge. Most frequent reason: the answer could not be read "
        "(unparsable, 7). Ask a larger model, or set merge_strategy to instruction, which asks less of a small one."
    )
    assert nothing_merged([tagger, merger, {"rejected": {}}]) == nothing_merged([tagger, merger])


def test_a_run_whose_merges_were_all_rejected_says_why_and_what_helps():
    merger = {"pairs": 10, "merged": 8, "failed": {"refused": 2}}
    gates = [{"accepted": 1, "rejected": {"score": 7}}, {"rejected": {"coverage": 1}}]
    sentence = nothing_merged([merger, *gates])
    assert sentence.startswith("nothing was merged: the gate rejected all 8 merges. ")
    assert "not good enough for gamma (score, 7). Compare merges" in sentence


@pytest.mark.parametrize(
    "figures",
    [
        [],
        [{"rows_in": 3}],
        [{"pairs": 0, "merged": 0, "failed": {}}],
        [{"pairs": 5, "merged": 0, "failed": {}, "planned_calls": 5}],
        [{"pairs": 5, "merged": 1, "failed": {"refused": 4}}],
        [{"pairs": 5, "merged": 5, "failed": {}}, {"accepted": 1, "rejected": {"score": 4}}],
        # A plain filter.
        [{"rows_in": 3, "rejected": {}, "filtered_out": 3}],
    ],
)
def test_a_run_that_merged_something_or_had_no_pairs_gets_no_reason(figures):
    assert nothing_merged(figures) is None
