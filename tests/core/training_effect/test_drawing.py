"""Which rows are trained on: by ids alone, to exactly as many tokens for every set."""

from __future__ import annotations

from collections import Counter

import pytest

from mergeit_ops.core.training_effect.drawing import drawn_to, shuffled, swapped_answers

IDS = [f"row {number}" for number in range(40)]
TOKENS = [3 + number % 7 for number in range(40)]


def drawn_tokens(drawn, tokens):
    return sum(tokens[number] for number in drawn.rows[:-1]) + drawn.last_tokens


@pytest.mark.parametrize("budget", [1, 2, 57, 200, 1_000])
def test_draws_have_just_the_tokens_that_are_asked_for(budget):
    drawn = drawn_to(IDS, TOKENS, budget, 42)
    assert drawn_tokens(drawn, TOKENS) == budget
    assert 1 <= drawn.last_tokens <= TOKENS[drawn.rows[-1]]


def test_draws_depend_on_ids_and_not_on_the_order_of_the_file():
    there = drawn_to(IDS, TOKENS, 100, 42)
    back = drawn_to(IDS[::-1], TOKENS[::-1], 100, 42)
    assert [IDS[number] for number in there.rows] == [IDS[::-1][number] for number in back.rows]


def test_a_row_keeps_its_place_among_the_rows_of_another_set():
    order = [IDS[number] for number in shuffled(IDS, 42, "draw")]
    some = IDS[:15]
    assert [some[number] for number in shuffled(some, 42, "draw")] == [name for name in order if name in some]


def test_draws_differ_by_key():
    assert drawn_to(IDS, TOKENS, 100, 42, 0) != drawn_to(IDS, TOKENS, 100, 42, 1)


def test_half_of_a_draw_is_the_draw_of_half_the_budget():
    half, whole = drawn_to(IDS, TOKENS, 60, 42), drawn_to(IDS, TOKENS, 120, 42)
    assert whole.rows[: len(half.rows)] == half.rows


def test_small_sets_are_repeated_as_a_whole():
    total = sum(TOKENS)
    drawn = drawn_to(IDS, TOKENS, 2 * total + 1, 42)
    assert set(Counter(drawn.rows[:80]).values()) == {2}
    assert len(drawn.rows) == 81
    assert drawn.rows[:40] != drawn.rows[40:80]


@pytest.mark.parametrize(("share", "moved"), [(0, 0), (0.5, 20), (1, 40), (0.02, 0)])
def test_answers_are_exchanged_and_none_is_lost(share, moved):
    owners = swapped_answers(IDS, share, 42)
    assert sorted(owners) == list(range(40))
    assert sum(owner != number for number, owner in enumerate(owners)) == moved
