"""Running trainings: each once, in order, and a run that was stopped goes on to the same results."""

from __future__ import annotations

import pytest

from mergeit_ops.training.encoded_sets import PerPool
from mergeit_ops.training.encoding import RowEncoder
from mergeit_ops.training.experiment import BASE, run_trainings
from mergeit_ops.training.fitting import HeldOut
from mergeit_ops.training.plan import Plan
from mergeit_ops.training.price import Price
from mergeit_ops.training.results import Results
from tests.training.tiny_experiment import encoded, rows, student

PRICE = Price(12, 12_000, 0.0, 12_000.0, 0.0)


class StoppedError(Exception):
    pass


class Bench:
    """An experiment whose progress can be stopped."""

    def __init__(self, tmp_path):
        self.student = student()
        own = encoded(tmp_path, "own", rows(15, seed=1))
        pool = encoded(tmp_path, "pool", rows(100))
        self.plan = Plan([PerPool([own])], PerPool([pool]), RowEncoder(self.student.tokenizer, 128), 60, 42)
        self.held_out = HeldOut(self.student, encoded(tmp_path, "held", rows(12, seed=9)).rows)
        self.heard = []

    def run(self, path, draws, stop_after=None, limit_s=None):
        def say(line):
            self.heard.append(line)
            if len(self.heard) == stop_after:
                raise StoppedError

        results = Results(path, "one")
        results.open({})
        keys = list(self.plan.keys(draws, 1))
        try:
            left = run_trainings(
                self.student, self.plan, self.held_out, results, keys, limit_s, PRICE, lambda key: key.role, say
            )
        finally:
            results.close()
        return left, {key: result.sums for key, result in results.found.items()}


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_a_stopped_run_goes_on_to_the_same_losses(bench, tmp_path):
    left, whole = bench.run(tmp_path / "whole.jsonl", 2)
    assert left == 0
    assert len(whole) == 1 + 2 * 4
    assert BASE in whole
    bench.heard.clear()
    with pytest.raises(StoppedError):
        bench.run(tmp_path / "parts.jsonl", 2, stop_after=3)
    assert len((tmp_path / "parts.jsonl").read_text().splitlines()) == 1 + 1 + 3
    bench.heard.clear()
    _, parts = bench.run(tmp_path / "parts.jsonl", 2)
    assert len(bench.heard) == 5
    assert parts == whole


def test_further_draws_are_added(bench, tmp_path):
    _, first = bench.run(tmp_path / "results.jsonl", 1)
    bench.heard.clear()
    _, more = bench.run(tmp_path / "results.jsonl", 2)
    assert len(bench.heard) == 4
    assert {key: more[key] for key in first} == first


def test_a_limit_of_time_leaves_the_rest(bench, tmp_path):
    # By the price, a training takes a quarter of an hour.
    left, found = bench.run(tmp_path / "results.jsonl", 3, limit_s=300)
    assert left == 3 * 4
    assert set(found) == {BASE}
    assert bench.heard[-1].endswith("12 trainings are left. The same command continues.")
