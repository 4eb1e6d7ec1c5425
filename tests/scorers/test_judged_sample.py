"""Which rows a judge is asked about."""

from __future__ import annotations

import numpy as np

from mergeit_ops.core.sample import Sample
from mergeit_ops.scorers import judged_sample
from mergeit_ops.scorers.judged_sample import draw_sample
from tests.scorers.distilled import HashEncoder

ROWS = [Sample(f"Task {number}", "", "word " * (1 + number % 90)) for number in range(900)]
IDS = [f"{number * 7919 % 100_003:05x}" for number in range(900)]


def drawn(count, rows=ROWS, ids=IDS, seed=42):
    return draw_sample(rows, ids, count, HashEncoder().encode, seed)


def test_the_same_rows_are_drawn_whatever_order_they_stand_in():
    found = drawn(100)
    assert found.samples == drawn(100, ROWS[::-1], IDS[::-1]).samples
    assert len(set(found.samples)) == 100
    assert (found.drawn_from, found.topics) == (900, 21)
    assert drawn(100, seed=7).samples != found.samples


def test_a_larger_sample_holds_the_smaller_one():
    assert drawn(300).samples[:100] == drawn(100).samples


def test_short_and_long_responses_are_drawn_as_there_are():
    lengths = [len(sample.output) for sample in drawn(200).samples]
    assert abs(np.median(lengths) - np.median([len(row.output) for row in ROWS])) < 40


def test_all_rows_are_drawn_where_there_are_no_more():
    assert set(drawn(5_000).samples) == set(ROWS)


def test_of_many_rows_some_are_looked_at(monkeypatch):
    monkeypatch.setattr(judged_sample, "_LOOKED_AT", 300)
    found = drawn(100)
    assert found.drawn_from == 300
    assert drawn(100, ROWS[::-1], IDS[::-1]).samples == found.samples


def test_texts_that_cannot_be_encoded_do_not_stop_it():
    assert len(drawn(1, [Sample("\ud800", "", "a")], ["1"]).samples) == 1
