"""What trainings are called."""

from __future__ import annotations

from mergeit_ops.training.names import CONTROL_NAMES, name_of
from mergeit_ops.training.plan import CONTROLS, SET
from mergeit_ops.training.results import RunKey


def test_every_control_has_a_name():
    assert set(CONTROL_NAMES) == set(CONTROLS)


def test_people_count_from_one():
    assert name_of(RunKey(SET, "abc", 1, 0), {"abc": "a.jsonl"}) == "draw 2, seed 1, a.jsonl"
    assert name_of(RunKey("swapped"), {}) == "draw 1, seed 1, half the answers swapped"
