"""The table of a dry run."""

from __future__ import annotations

from mergeit_ops.jobs.plan_table import plan_table

PLAN = {
    "planned_calls": 1_200,
    "planned_cache_hits": 0,
    "planned_prompt_tokens": 1_000_000,
    "planned_completion_tokens": 9_028,
}


def test_pairs_calls_tokens_price_and_the_share_of_the_fixed_prompt():
    table = plan_table({"pairs": 1_210, **PLAN, "planned_fixed_prompt_tokens": 870_000, "planned_cost": 2.59028})
    assert table.splitlines() == [
        "  pairs                  1,210",
        "  calls                  1,200",
        "  prompt tokens      1,000,000  87% of them the fixed prompt",
        "  completion tokens      9,028",
        "  price                   2.59  in the currency of the prices in the recipe",
    ]


def test_what_is_not_known_is_not_said():
    table = plan_table({**PLAN, "planned_cache_hits": 3})
    assert "pairs" not in table
    assert "fixed" not in table
    assert "3 answers are in the journal" in table
    assert "price                      –  set price_per_1k_prompt" in table


def test_nothing_to_ask_has_no_share():
    nothing = dict.fromkeys(PLAN, 0)
    assert "%" not in plan_table({**nothing, "planned_fixed_prompt_tokens": 0})
