"""The figures of a run, from those of its operators."""

import pytest

from mergeit_ops.dataset.summary import readable, summary_of


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
