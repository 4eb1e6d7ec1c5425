"""The price of trainings."""

from __future__ import annotations

import pytest

from mergeit_ops.training.encoded_sets import PerPool
from mergeit_ops.training.encoding import RowEncoder
from mergeit_ops.training.fitting import HeldOut
from mergeit_ops.training.plan import Plan
from mergeit_ops.training.price import price_of
from tests.training.tiny_experiment import encoded, rows, student


def test_it_counts_the_tokens_of_what_is_left_and_grows_with_them(tmp_path):
    one = student()
    plan = Plan([], PerPool([encoded(tmp_path, "pool", rows(200))]), RowEncoder(one.tokenizer, 128), 300, 42)
    held_out = HeldOut(one, encoded(tmp_path, "held", rows(20, seed=9)).rows)
    keys = list(plan.keys(2, 1))
    price = price_of(one, plan, held_out, keys)
    assert price.trainings == 6
    assert price.tokens == sum(len(text.tokens) for key in keys for row in plan.of(key).rows for text in row.texts)
    assert price.training_s > 0
    assert price.evaluation_s > 0
    assert price.seconds == pytest.approx(price.once_s + price.training_s + price.evaluation_s)


def test_nothing_costs_nothing(tmp_path):
    one = student()
    plan = Plan([], PerPool([encoded(tmp_path, "pool", rows(20))]), RowEncoder(one.tokenizer, 128), 30, 42)
    held_out = HeldOut(one, encoded(tmp_path, "held", rows(20, seed=9)).rows)
    assert price_of(one, plan, held_out, []).seconds == 0
