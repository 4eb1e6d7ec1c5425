"""What results say: planted differences are found and ranked, and what is missing is not made up."""

from __future__ import annotations

import pytest

from mergeit_ops.training.plan import RANDOM, RANDOM_2X, SET, SWAPPED
from mergeit_ops.training.results import RunKey, RunResult
from mergeit_ops.training.summary import summarized
from tests.training.found_results import TOKENS, results, some_set

PLANTED = {"good": -0.02, "same": 0.0, "bad": 0.02, "worst": 0.05}


def found(tmp_path, planted=PLANTED, **options):
    sets = [(name, some_set(tmp_path, name)) for name in planted]
    made = results({one.read.digest: planted[name] for name, one in sets}, **options)
    return summarized(sets, made, TOKENS, 0)


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
    sets = [("good", some_set(tmp_path, "good"))]
    digest = sets[0][1].read.digest
    made = results({digest: -0.02})
    whole = summarized(sets, made, TOKENS, 0).sets[0].measured
    fewer = {key: value for key, value in made.items() if not (key.role == SET and key.draw == 3)}
    assert summarized(sets, fewer, TOKENS, 2).sets[0].measured.draws == 3
    assert whole.draws == 4
    nothing = {key: value for key, value in made.items() if key.role not in (SET, RANDOM_2X, SWAPPED)}
    done = summarized(sets, nothing, TOKENS, 9)
    assert (done.sets[0].measured, done.controls, done.sight, done.left) == (None, {}, None, 9)
    assert done.sets[0].verdict.kind == "cannot_tell"


def test_a_set_that_is_the_pool_differs_by_nothing(tmp_path):
    sets = [("same", some_set(tmp_path, "same"))]
    made = results({sets[0][1].read.digest: 0.0})
    made = {
        key: RunResult(key, made[RunKey(RANDOM, "", key.draw, key.seed)].sums, value.facts)
        if key.role == SET
        else value
        for key, value in made.items()
    }
    (one,) = summarized(sets, made, TOKENS, 0).sets
    assert one.verdict.kind == "cannot_tell"
    assert one.measured.differences["row"].high == 0
    # That nothing varies says nothing of what could be told.
    assert one.measured.power == {}
    assert one.worth["token"].estimate == 1
