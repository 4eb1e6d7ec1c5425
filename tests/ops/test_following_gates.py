"""The gates that will judge the merges of a merger."""

from __future__ import annotations

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.dataset.recipe import Recipe, Step
from mergeit_ops.ops.following_gates import following_gates, judge_of

LAYOUT = resolve_format("alpaca", ["instruction", "input", "output"])


def gates(*steps: tuple[str, dict], place: int = 0):
    every = (Step("llm_pair_merger_mapper", {}), *(Step(name, parameters) for name, parameters in steps))
    return following_gates(Recipe(every, None, (), "default"), place)


def gate(gamma: float) -> tuple[str, dict]:
    return "quality_gate_filter", {"scorer": "tests.user_scorers:ByLength", "gamma": gamma}


def test_gates_up_to_the_next_merger_judge():
    merger = ("llm_pair_merger_mapper", {})
    steps = [gate(0.5), ("text_length_filter", {}), gate(0.6), merger, gate(0.7)]
    assert [one.rule.gamma for one in gates(*steps)] == [0.5, 0.6]
    assert [one.rule.gamma for one in gates(*steps, place=4)] == [0.7]
    assert gates(("text_length_filter", {})) == []


def test_a_judge_is_named_by_all_that_changes_its_verdicts():
    names = {judge_of(gates(gate(gamma)), LAYOUT).identity for gamma in (0.5, 0.5, 0.6)}
    assert len(names) == 2
    assert judge_of([], LAYOUT).gates == ()
