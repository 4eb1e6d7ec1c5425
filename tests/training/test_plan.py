"""The plan: every set and control has the same tokens in the same repeats."""

from __future__ import annotations

import pytest

from mergeit_ops.core.sample import Round, Sample
from mergeit_ops.errors import DatasetError
from mergeit_ops.training.encoding import RowEncoder
from mergeit_ops.training.plan import RANDOM, RANDOM_2X, SET, SWAPPED, Plan, encoded_set, with_answer_of
from mergeit_ops.training.results import RunKey
from tests.training.tiny_experiment import encoded, read, rows, student

BUDGET = 200


@pytest.fixture
def pool(tmp_path):
    return encoded(tmp_path, "pool", rows(200))


@pytest.fixture
def small(tmp_path):
    return encoded(tmp_path, "small", rows(10, seed=5))


@pytest.fixture
def plan(pool, small):
    return Plan([small], pool, RowEncoder(student().tokenizer, 128), BUDGET, 42)


def test_trainings_come_repeat_by_repeat(plan, small):
    keys = list(plan.keys(2, 2))
    assert len(keys) == len(set(keys)) == 2 * 2 * 4
    assert keys[:4] == [RunKey(RANDOM), RunKey(RANDOM_2X), RunKey(SWAPPED), RunKey(SET, small.read.digest)]
    assert [(key.draw, key.seed) for key in keys[::4]] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_all_have_the_tokens_of_the_budget_and_one_twice_as_many(plan):
    for key in plan.keys(3, 1):
        assert plan.of(key).answer_tokens == BUDGET * (2 if key.role == RANDOM_2X else 1)


def test_twice_the_random_rows_begin_with_the_random_rows(plan):
    once, twice = plan.of(RunKey(RANDOM)).rows, plan.of(RunKey(RANDOM_2X)).rows
    assert twice[: len(once) - 1] == once[:-1]


def test_a_small_set_is_repeated(plan, small):
    found = plan.of(RunKey(SET, small.read.digest))
    assert found.distinct == 10
    assert len(found.rows) > 20


def test_draws_differ_and_seeds_do_not(plan):
    assert plan.of(RunKey(RANDOM, draw=0)) != plan.of(RunKey(RANDOM, draw=1))
    assert plan.of(RunKey(RANDOM, seed=0)) == plan.of(RunKey(RANDOM, seed=1))
    seeds = {plan.seed_of(RunKey(RANDOM, draw=draw, seed=seed)) for draw in range(2) for seed in range(2)}
    assert len(seeds) == 4
    assert plan.seed_of(RunKey(SWAPPED)) == plan.seed_of(RunKey(RANDOM))


def test_half_the_answers_of_the_control_are_those_of_other_rows(plan, pool):
    random, swapped = plan.of(RunKey(RANDOM)).rows, plan.of(RunKey(SWAPPED)).rows
    kept = sum(one == other for one, other in zip(random, swapped, strict=False))
    assert 0.35 < kept / len(random) < 0.65


def test_the_order_of_the_file_does_not_count(tmp_path, pool):
    turned = encoded(tmp_path, "turned", rows(200)[::-1])
    assert turned.read.digest == pool.read.digest
    encoder = RowEncoder(student().tokenizer, 128)
    there, back = (Plan([], one, encoder, BUDGET, 42).of(RunKey(SWAPPED)) for one in (pool, turned))
    assert there.rows == back.rows


def test_another_answer_takes_the_place_of_the_last():
    talk = Sample("a\nb", "", "1\n2", rounds=(Round("a", "1"), Round("b", "2")))
    assert with_answer_of(Sample("q", "i", "x"), talk) == Sample("q", "i", "2")
    assert with_answer_of(talk, Sample("q", "", "x")).rounds == (Round("a", "1"), Round("b", "x"))


def test_a_set_without_room_for_answers_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="leave no room for an answer within 20 tokens; raise --max-length"):
        encoded_set(read(tmp_path, "rows", rows(5)), RowEncoder(student().tokenizer, 20))
