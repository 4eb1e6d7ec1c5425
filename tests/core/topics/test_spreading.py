"""A small sample that looks like the whole, whatever order the rows stand in."""

from __future__ import annotations

import numpy as np
import pytest

from mergeit_ops.core.topics.spreading import seeded_order, spread_order

TOPICS = np.random.default_rng(0).choice(12, 3_000, p=np.arange(1, 13) / 78)
LENGTHS = np.random.default_rng(1).lognormal(5, 1, 3_000).astype(int)


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 7, 8, 9, 64, 65, 1_000])
@pytest.mark.parametrize("seed", [0, 42])
def test_every_row_comes_once(rows, seed):
    order = spread_order([0] * rows, range(rows), seed)
    assert sorted(order.tolist()) == list(range(rows))


@pytest.mark.parametrize("size", [150, 600, 2_000])
def test_each_beginning_has_its_share_of_every_topic_and_of_every_length(size):
    chosen = spread_order(TOPICS.tolist(), LENGTHS.tolist())[:size]
    expected = size * np.bincount(TOPICS) / len(TOPICS)
    # A random sample of 600 would be off by 9 in the largest topic as often as not.
    assert np.abs(np.bincount(TOPICS[chosen], minlength=12) - expected).max() <= 3
    for topic in (5, 11):
        of_topic, drawn = LENGTHS[topic == TOPICS], LENGTHS[chosen][TOPICS[chosen] == topic]
        below = (drawn <= np.median(of_topic)).mean()
        assert abs(below - 0.5) <= 2 / len(drawn) + 0.01


def test_four_rows_by_hand():
    """In a line 0 to 3 by length, from a start in the first quarter: first, third, second, fourth."""
    start = np.random.default_rng(4).random()
    turned = [int(((place + start) % 1) * 4) for place in (0, 0.5, 0.25, 0.75)]
    assert spread_order([0] * 4, [10, 20, 30, 40], seed=4).tolist() == turned


def test_another_seed_draws_other_rows():
    first, second = (set(spread_order(TOPICS.tolist(), LENGTHS.tolist(), seed)[:300].tolist()) for seed in (1, 2))
    assert len(first & second) < 200


def test_a_seeded_order_depends_on_ids_alone():
    ids = [f"row {number}" for number in range(200)]
    order = [ids[row] for row in seeded_order(ids, 7)]
    turned = ids[::-1]
    assert [turned[row] for row in seeded_order(turned, 7)] == order
    assert order != [ids[row] for row in seeded_order(ids, 8)]
    assert sorted(order) == sorted(ids)
    assert len(seeded_order([], 7)) == 0
