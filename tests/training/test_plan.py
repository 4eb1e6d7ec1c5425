"""The plan: every set and control has the same tokens in the same repeats."""

from __future__ import annotations

import pytest

from mergeit_ops.core.sample import Round, Sample
from mergeit_ops.training.encoded_sets import PerPool
from mergeit_ops.training.encoding import RowEncoder
from mergeit_ops.training.plan import RANDOM, RANDOM_2X, SET, SWAPPED, Plan, with_answer_of
from mergeit_ops.training.results import RunKey
from tests.training.tiny_experiment import encoded, rows, student

BUDGET = 200


@pytest.fixture
def pool(tmp_path):
    return encoded(tmp_path, "pool", rows(200))


@pytest.fixture
def small(tmp_path):
    return encoded(tmp_path, "small", rows(10, seed=5))


@pytest.fixture
def plan(pool, small):
    return plan_of([[small]], [pool])


def plan_of(sets, pools):
    return Plan(list(map(PerPool, sets)), PerPool(pools), RowEncoder(student().tokenizer, 128), BUDGET, 42)


def test_trainings_come_repeat_by_repeat(plan, pool, small):
    keys = list(plan.keys(2, 2))
    assert len(keys) == len(set(keys)) == 2 * 2 * 4
    controls = [RunKey(role, pool.read.digest) for role in (RANDOM, RANDOM_2X, SWAPPED)]
    assert keys[:4] == [*controls, RunKey(SET, small.read.digest)]
    assert [(key.draw, key.seed) for key in keys[::4]] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_all_have_the_tokens_of_the_budget_and_one_twice_as_many(plan):
    for key in plan.keys(3, 1):
        assert plan.of(key).answer_tokens == BUDGET * (2 if key.role == RANDOM_2X else 1)


def test_twice_the_random_rows_begin_with_the_random_rows(plan, pool):
    once, twice = (plan.of(RunKey(role, pool.read.digest)).rows for role in (RANDOM, RANDOM_2X))
    assert twice[: len(once) - 1] == once[:-1]


def test_a_small_set_is_repeated(plan, small):
    found = plan.of(RunKey(SET, small.read.digest))
    assert found.distinct == 10
    assert len(found.rows) > 20


def test_draws_differ_and_seeds_do_not(plan, pool):
    given = pool.read.digest
    assert plan.of(RunKey(RANDOM, given, draw=0)) != plan.of(RunKey(RANDOM, given, draw=1))
    assert plan.of(RunKey(RANDOM, given, seed=0)) == plan.of(RunKey(RANDOM, given, seed=1))
    seeds = {plan.seed_of(RunKey(RANDOM, draw=draw, seed=seed)) for draw in range(2) for seed in range(2)}
    assert len(seeds) == 4
    assert plan.seed_of(RunKey(SWAPPED)) == plan.seed_of(RunKey(RANDOM))


def test_half_the_answers_of_the_control_are_those_of_other_rows(plan, pool):
    random, swapped = (plan.of(RunKey(role, pool.read.digest)).rows for role in (RANDOM, SWAPPED))
    kept = sum(one == other for one, other in zip(random, swapped, strict=False))
    assert 0.35 < kept / len(random) < 0.65


def test_the_order_of_the_file_does_not_count(tmp_path, pool):
    turned = encoded(tmp_path, "turned", rows(200)[::-1])
    assert turned.read.digest == pool.read.digest
    there, back = (plan_of([], [one]).of(RunKey(SWAPPED, pool.read.digest)) for one in (pool, turned))
    assert there.rows == back.rows


def test_another_answer_takes_the_place_of_the_last():
    talk = Sample("a\nb", "", "1\n2", rounds=(Round("a", "1"), Round("b", "2")))
    assert with_answer_of(Sample("q", "i", "x"), talk) == Sample("q", "i", "2")
    assert with_answer_of(talk, Sample("q", "", "x")).rounds == (Round("a", "1"), Round("b", "x"))


def test_each_draw_takes_its_pool_and_the_sets_made_of_it(tmp_path):
    pools = [encoded(tmp_path, f"pool {number}", rows(100, seed=number)) for number in range(2)]
    own = [encoded(tmp_path, f"own {number}", rows(20, seed=10 + number)) for number in range(2)]
    plan = plan_of([own], pools)
    keys = list(plan.keys(2, 1))
    assert [key.digest for key in keys] == [
        digest for pool, one in zip(pools, own, strict=True) for digest in (*[pool.read.digest] * 3, one.read.digest)
    ]
    for key in keys:
        given = (own if key.role == SET else pools)[key.draw]
        if key.role != SWAPPED:
            # The answer of the last row is cut.
            assert set(plan.of(key).rows[:-1]) <= set(given.rows)
        assert plan.of(key).answer_tokens == BUDGET * (2 if key.role == RANDOM_2X else 1)


def test_sets_of_the_same_rows_are_trained_on_once(pool, small):
    assert len(list(plan_of([[small], [small]], [pool]).keys(1, 1))) == 4
