"""What results say: planted differences are found and ranked, and what is missing is not made up."""

from __future__ import annotations

import pytest

from mergeit_ops.training.encoded_sets import PerPool
from mergeit_ops.training.plan import RANDOM, RANDOM_2X, SET, SWAPPED
from mergeit_ops.training.results import RunKey, RunResult
from mergeit_ops.training.summary import summarized
from tests.training.found_results import TOKENS, digest_of, results, some_rows, some_set

PLANTED = {"good": -0.02, "same": 0.0, "bad": 0.02, "worst": 0.05}


def found(tmp_path, planted=PLANTED, **options):
    sets = [(name, some_set(tmp_path, name)) for name in planted]
    pool = some_set(tmp_path, "pool")
    made = results({digest_of(one): planted[name] for name, one in sets}, digest_of(pool), **options)
    return summarized(sets, pool, made, TOKENS, 0)


def test_planted_differences_are_told_and_ranked(tmp_path):
    done = found(tmp_path)
    assert (done.sight.swapped, done.sight.doubled) == (True, True)
    assert {one.name: one.verdict.kind for one in done.sets} == {
        "good": "better",
        "same": "cannot_tell",
        "bad": "worse",
        "worst": "worse",
    }
    for mean in ("token", "row"):
        estimates = [one.measured.differences[mean].estimate for one in done.sets]
        assert estimates == sorted(estimates)
        for one in done.sets:
            interval = one.measured.differences[mean]
            assert interval.low <= PLANTED[one.name] <= interval.high
    # Half a doubling of the tokens is worth 2 ** 0.5 of them.
    good = done.sets[0].worth["token"]
    assert good.low <= 2**0.5 <= good.high
    assert done.sets[1].worth["row"].low < 1 < done.sets[1].worth["row"].high


def test_counts_and_means(tmp_path):
    done = found(tmp_path)
    assert (done.repeats, done.trainings, done.left) == (8, 4 * 2 * 7, 0)
    assert done.base["token"] == pytest.approx(done.random["token"] + 0.2, abs=0.01)
    assert done.sets[0].measured.draws == 4
    assert done.sets[0].measured.facts["train_s"] == 1.5
    assert done.sets[0].measured.power["row"].smallest > 0


def test_what_does_not_see_its_control_tells_nothing(tmp_path):
    done = found(tmp_path, swapped=0.0)
    assert not done.sight.swapped
    assert {one.verdict.kind for one in done.sets} == {"cannot_tell"}


def test_without_an_effect_of_more_tokens_nothing_is_worth_a_number(tmp_path):
    done = found(tmp_path, doubled=0.0)
    assert done.sets[0].verdict.kind == "better"
    assert done.sets[0].worth == {"token": None, "row": None}


def test_one_draw_tells_nothing(tmp_path):
    done = found(tmp_path, draws=1)
    assert done.sight is None
    assert "one draw does not show" in done.sets[0].verdict.sentence
    assert done.sets[0].measured.power == {}


def test_only_repeats_that_both_have_are_compared(tmp_path):
    sets, pool = [("good", some_set(tmp_path, "good"))], some_set(tmp_path, "pool")
    made = results({digest_of(sets[0][1]): -0.02}, digest_of(pool))
    whole = summarized(sets, pool, made, TOKENS, 0).sets[0].measured
    fewer = {key: value for key, value in made.items() if not (key.role == SET and key.draw == 3)}
    assert summarized(sets, pool, fewer, TOKENS, 2).sets[0].measured.draws == 3
    assert whole.draws == 4
    nothing = {key: value for key, value in made.items() if key.role not in (SET, RANDOM_2X, SWAPPED)}
    done = summarized(sets, pool, nothing, TOKENS, 9)
    assert (done.sets[0].measured, done.controls, done.sight, done.left) == (None, {}, None, 9)
    assert done.sets[0].verdict.kind == "cannot_tell"


def test_a_set_that_is_the_pool_differs_by_nothing(tmp_path):
    sets, pool = [("same", some_set(tmp_path, "same"))], some_set(tmp_path, "pool")
    made = results({digest_of(sets[0][1]): 0.0}, digest_of(pool))
    made = {
        key: RunResult(key, made[RunKey(RANDOM, digest_of(pool), key.draw, key.seed)].sums, value.facts)
        if key.role == SET
        else value
        for key, value in made.items()
    }
    (one,) = summarized(sets, pool, made, TOKENS, 0).sets
    assert one.verdict.kind == "cannot_tell"
    assert one.measured.differences["row"].high == 0
    # That nothing varies says nothing of what could be told.
    assert one.measured.power == {}
    assert one.worth["token"].estimate == 1


def test_each_draw_is_that_of_its_pool(tmp_path):
    pools = PerPool([some_rows(tmp_path, f"pool {number}") for number in range(3)])
    method = PerPool([some_rows(tmp_path, f"good {number}") for number in range(3)])
    made = {}
    for draw, (pool, own) in enumerate(zip(pools, method, strict=True)):
        # All draws of each file are there; only one of them is that of the experiment.
        every = results({own.read.digest: -0.01 * (draw + 1)}, pool.read.digest, draws=3)
        made |= {key: value for key, value in every.items() if key.role != "base" or not made}
    done = summarized([("good", method)], pools, made, TOKENS, 0)
    (one,) = done.sets
    assert (one.measured.draws, done.repeats, done.trainings) == (3, 6, 3 * 2 * 4)
    assert one.measured.differences["token"].estimate == pytest.approx(-0.02, abs=0.003)
    assert one.verdict.kind != "worse"
    first = {key: value for key, value in made.items() if key.draw == 0}
    assert summarized([("good", method)], pools, first, TOKENS, 0).sets[0].measured.draws == 1
