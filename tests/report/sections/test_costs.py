"""What a run cost, from the records."""

import pytest

from mergeit_ops.report.page import page
from mergeit_ops.report.sections.costs import Cost, costs, price, total
from tests.report.exports import merged, surveyed, write_export, write_records


def test_costs_of_merger_and_scorer_are_added_up():
    records = [
        {"operator": "topic_cluster_grouper", "figures": {"rows_in": 9, "seconds": 1.5}},
        {
            "operator": "llm_pair_merger_mapper",
            "figures": {"calls": 3, "cache_hits": 1, "prompt_tokens": 70, "completion_tokens": 30, "seconds": 2.0}
            | {"cached_prompt_tokens": 40},
        },
        {
            "operator": "quality_gate_filter",
            "figures": {"rows_in": 8, "seconds": 4.0, "scoring": {"calls": 5, "prompt_tokens": 50, "cost": 0.25}},
        },
    ]
    found = costs(records)
    assert found[0] == Cost("topic_cluster_grouper", 1.5)
    assert found[2] == Cost("quality_gate_filter", 4.0, calls=5, prompt_tokens=50, cost=0.25)
    assert total(found) == Cost("Together", 7.5, 8, 1, 120, 40, 30, 0.25)


def test_a_scorer_made_of_two_counts_both():
    scoring = {"cheap": {"calls": 2}, "judge": {"calls": 5, "prompt_tokens": 10}}
    (found,) = costs([{"operator": "quality_gate_filter", "figures": {"scoring": scoring}}])
    assert (found.calls, found.prompt_tokens, found.seconds) == (7, 10, None)


def test_what_nobody_counts_is_not_zero():
    assert total(costs([{"operator": "a", "figures": {"seconds": 1}}])).calls is None
    assert total([]).seconds is None


def test_the_price_of_a_merge_is_a_sentence():
    merger = {"pairs": 9, "merged": 8, "calls": 9, "prompt_tokens": 9000, "completion_tokens": 900, "cost": 2.0}
    gate = {"operator": "g", "figures": {"rejected": {"score": 4}, "accepted": 4}}
    assert price([{"operator": "m", "figures": merger}, gate]) == (
        "An accepted merge took 2,475 tokens, at a cost of 0.5."
    )
    free = price([{"operator": "m", "figures": merger | {"cache_hits": 3}}])
    assert free.endswith("3 answers from the journal cost nothing in this run.")
    assert free.startswith("A merge took")
    one = price([{"operator": "m", "figures": merger | {"cache_hits": 1}}])
    assert one.endswith(" 1 answer from the journal costs nothing in this run.")
    assert price([{"operator": "m", "figures": {"seconds": 1.0}}]) == ""


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"calls": 3, "cost": 0.25}, "currency of the prices that the recipe gives"),
        ({"calls": 3}, "the recipe gives no prices"),
        ({}, None),
    ],
)
def test_the_page_says_what_cost_means_or_why_there_is_none(tmp_path, figures, words):
    export = write_export(tmp_path / "e.jsonl", [merged(0, "a")])
    write_records(tmp_path / "w", {"operator": "llm_pair_merger_mapper", "figures": {"seconds": 1.0, **figures}})
    costs_of = page(surveyed(export)).split('id="costs-h"')[1].split("</section>")[0]
    said = [
        text
        for text in ("currency of the prices that the recipe gives", "the recipe gives no prices")
        if text in costs_of
    ]
    assert said == ([words] if words else [])
