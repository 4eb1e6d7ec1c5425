"""What the log says after a merge."""

import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.merging.checks import MergeChecks
from mergeit_ops.core.merging.conversations import CONVERSATIONS
from mergeit_ops.jobs.llm_merging import LLMMerging
from mergeit_ops.jobs.merge_advice import advise, planned_price
from mergeit_ops.jobs.merging import MergeJob
from mergeit_ops.jobs.pairing import PairingJob
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from tests.llm.conftest import scripted_engine

READER = SampleReader("merger", resolve_format("alpaca", ["instruction", "output"]), EncoderSettings("none"))


def said(lines, figures, **pairing):
    advise(MergeJob(READER, PairingJob(READER, 0.5, **pairing)), {"unmergeable": {}, **figures})
    return lines


def test_a_merge_that_found_pairs_needs_no_advice(lines):
    assert said(lines, {"pairs": 1, "rows_in": 9}) == []


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_for_a_pair_need_none_either(lines, rows):
    assert said(lines, {"pairs": 0, "rows_in": rows}) == []


def test_without_pairs_the_threshold_and_what_rows_must_share_are_named(lines):
    (line,) = said(lines, {"pairs": 0, "rows_in": 9}, within=("lang",))
    assert line.startswith(
        "merger: no two rows of a topic exceed the similarity_threshold 0.5 and share their system prompt and 'lang'"
    )


def test_random_pairs_have_no_threshold(lines):
    (line,) = said(lines, {"pairs": 0, "rows_in": 9}, order="random")
    assert "no topic has two rows that share their system prompt, or merge_ratio asks for too few" in line


def test_rows_that_cannot_be_merged_are_the_first_cause(lines):
    (line,) = said(lines, {"pairs": 0, "rows_in": 9, "unmergeable": {"bad_row": 6, "reasoning": 2}})
    assert "too few of the 9 rows can be merged (bad_row 6, reasoning 2)" in line


def planning(**parameters) -> MergeJob:
    async def complete(messages, params, schema):
        raise AssertionError("a dry run asks nobody")

    llm = LLMMerging(scripted_engine(complete), "m", CONVERSATIONS["llm"]["worked"], MergeChecks(), **parameters)
    return MergeJob(READER, PairingJob(READER, 0.5), llm=llm, dry_run=True)


PLAN = {"planned_calls": 4, "planned_prompt_tokens": 300, "planned_completion_tokens": 100, "planned_cost": 2.0}


def test_the_price_of_an_accepted_merge_is_a_range_by_the_shares_that_are_likely():
    found = planned_price(planning(), PLAN | {"planned_judged": 10, "planned_accepted": 8})
    assert found == {
        "planned_acceptance": {"from": 0.4902, "to": 0.9433},
        # 100 tokens and 0.5 for a pair.
        "planned_tokens_per_accepted": {"from": 106.0, "to": 204.0},
        "planned_cost_per_accepted": {"from": 0.53, "to": 1.02},
    }
    two = planned_price(planning(num_candidates=2), PLAN | {"planned_judged": 10, "planned_accepted": 8})
    assert two["planned_tokens_per_accepted"] == {"from": 212.0, "to": 408.0}


def test_if_no_merge_was_accepted_the_price_has_no_upper_end():
    found = planned_price(planning(), PLAN | {"planned_judged": 10, "planned_accepted": 0})
    assert found["planned_tokens_per_accepted"] == {"from": 360.3}


@pytest.mark.parametrize("known", [{}, {"planned_judged": 0}, {"planned_judged": 9, "planned_calls": 0}])
def test_without_a_judged_merge_or_a_call_there_is_no_range(known):
    assert planned_price(planning(), PLAN | {"planned_accepted": 0} | known) == {}
