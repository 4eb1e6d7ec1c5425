"""Samples that agree with each other."""

import random

import pytest

from mergeit_ops.report.sampling import Sketch, text_key


def filled(items, size):
    sketch = Sketch(size)
    for item in items:
        sketch.add(text_key(item, 0), item)
    return sketch


def test_all_are_kept_while_they_are_few():
    items = [f"t{i}" for i in range(20)]
    sketch = filled(items, 20)
    assert sketch.below() == items
    assert sketch.bound == 1


@pytest.mark.parametrize("seed", range(5))
def test_the_items_below_the_bound_are_all_there_in_any_order(seed):
    items = [f"t{i % 300}" for i in range(400)]
    random.Random(seed).shuffle(items)
    sketch = filled(items, 50)
    assert sketch.seen == 400
    kept = sketch.below()
    assert 40 <= len(kept) <= 50
    assert kept == [item for item in items if text_key(item, 0) < sketch.bound]


def test_what_two_sets_share_is_in_both_samples_or_in_neither():
    first, second = filled([f"t{i}" for i in range(500)], 60), filled([f"t{i}" for i in range(250, 750)], 60)
    bound = min(first.bound, second.bound)
    shared = {f"t{i}" for i in range(250, 500)}
    assert set(first.below(bound)) & shared == set(second.below(bound)) & shared != set()


def test_rows_that_are_all_alike_leave_no_sample():
    assert filled(["same"] * 9, 5).below() == []


def test_spaces_and_case_do_not_change_a_key():
    assert text_key("Say  it ", 0) == text_key("say it", 0) != text_key("say it", 1)
    assert 0 <= text_key("\ud800", 0) < 1
