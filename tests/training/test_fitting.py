"""Training: steps with equal tokens, losses of each row, and the error of a training that diverges."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from mergeit_ops.errors import StudentError
from mergeit_ops.training.fitting import HeldOut, steps_of, train
from tests.training.tiny_experiment import SETTINGS, encoded, rows, student


def test_steps_have_about_equally_many_answer_tokens(tmp_path):
    some = encoded(tmp_path, "rows", rows(60)).rows
    total = sum(row.answer_tokens for row in some)
    steps = steps_of(some, 64)
    assert len(steps) == round(total / 64)
    sizes = [sum(text.answer_tokens for text in step) for step in steps]
    assert sum(sizes) == total
    assert all(abs(size - total / len(steps)) < 12 for size in sizes)
    lengths = [[len(text.tokens) for text in step] for step in steps]
    assert all(max(one) <= min(other) for one, other in pairwise(lengths))


def test_few_tokens_are_one_step(tmp_path):
    some = encoded(tmp_path, "rows", rows(3)).rows
    assert len(steps_of(some, 10_000)) == 1


def test_training_teaches(tmp_path):
    one = student(replace(SETTINGS, trained="full"))
    held_out = HeldOut(one, encoded(tmp_path, "held", rows(30, seed=9)).rows)
    before = sum(held_out.sums())
    steps = train(one, encoded(tmp_path, "rows", rows(150)).rows, 0)
    assert steps > 10
    assert sum(held_out.sums()) < 0.8 * before


def test_epochs_are_further_passes(tmp_path):
    one = student(replace(SETTINGS, epochs=3))
    some = encoded(tmp_path, "rows", rows(40)).rows
    heard: list[int] = []
    assert train(one, some, 0, on_step=heard.append) == 3 * len(steps_of(some, 64)) == len(heard)
    assert train(one, some, 0, most_steps=2, on_step=heard.append) > 2
    assert len(heard) == 3 * len(steps_of(some, 64)) + 2


def test_losses_of_a_row_do_not_depend_on_the_rows_around_it(tmp_path):
    one = student(bfloat16=False)
    some = encoded(tmp_path, "held", rows(40, seed=9)).rows
    whole = HeldOut(one, some)
    assert whole.tokens == [row.answer_tokens for row in some]
    backwards = HeldOut(one, some[::-1])
    assert backwards.sums()[::-1] == pytest.approx(whole.sums(), abs=1e-3)
    assert HeldOut(one, some[:1]).sums() == pytest.approx(whole.sums()[:1], abs=1e-3)


def test_a_training_that_comes_apart_says_so(tmp_path):
    one = student(replace(SETTINGS, learning_rate=1e30))
    with pytest.raises(StudentError, match=r"at step \d+: the training diverges. Lower --learning-rate"):
        train(one, encoded(tmp_path, "rows", rows(150)).rows, 0)
