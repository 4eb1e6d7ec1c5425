"""What another gamma would have let pass: what the gate itself decides with it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mergeit_ops.core.gate.gamma_sweep import ScoredMerge, gammas, outcomes
from mergeit_ops.core.gate.rule import GateRule

# Few values, so that scores meet the bar exactly.
scores = st.one_of(st.none(), st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.0, 4.5, 6.0]), st.floats(1, 6))
merges = st.builds(
    ScoredMerge, scores, scores, st.one_of(st.none(), st.sampled_from([0.5, 0.8, 0.9])), st.integers(2, 4)
)
rules = st.builds(
    GateRule,
    st.sampled_from([0.5, 0.75, 1.0, 1.5]),
    st.booleans(),
    min_parent_coverage=st.sampled_from([None, 0.8]),
)


@given(
    st.lists(merges, max_size=20), rules, st.lists(st.sampled_from([0.0, 0.5, 0.75, 1.0, 1.01, 2.0, 9.0]), max_size=4)
)
def test_outcomes_are_the_decisions_of_the_gate(decided, rule, others):
    for outcome in outcomes(decided, rule, others):
        passing = [merge for merge in decided if merge.passes(replace(rule, gamma=outcome.gamma))]
        assert outcome.passing == len(passing)
        assert outcome.rows == sum(1 if merge in passing else merge.parents for merge in decided)


def test_the_worked_example():
    decided = [ScoredMerge(3.0, 2.5, None, 2), ScoredMerge(3.0, 3.0, None, 2), ScoredMerge(1.905, 2.57, None, 2)]
    low, high = outcomes(decided, GateRule(0.75), [0.75, 1.0])
    assert (low.passing, low.rows) == (3, 3)
    assert (high.passing, high.rows) == (1, 5)
    assert outcomes(decided, GateRule(1.0, strict=False), [1.0])[0].passing == 2


@settings(deadline=None)
@given(st.lists(merges, max_size=20), st.floats(0.01, 8), rules)
def test_the_gammas_hold_that_of_the_run_and_lead_from_all_to_nothing(decided, chosen, rule):
    at = gammas(decided, chosen)
    assert chosen in at
    assert at == sorted(set(at))
    known = [merge for merge in decided if merge.before is not None and merge.after is not None and merge.after > 0]
    if rule.min_parent_coverage is None:
        assert outcomes(known, replace(rule, gamma=chosen), at)[0].passing == len(known)
    sane = [merge for merge in decided if merge.before and merge.after is not None and merge.after / merge.before <= 6]
    assert outcomes(sane, GateRule(chosen), at)[-1].passing == 0


def test_without_merges_nothing_passes():
    assert [outcome.passing for outcome in outcomes([], GateRule(), [0.0, 1.0])] == [0, 0]
    assert gammas([], 0.75)[-1] == pytest.approx(1.01)


def test_a_gamma_beyond_every_scale_is_one_point():
    points = gammas([], 1e6)
    assert points[-1] == 1e6
    assert len(points) < 1_000
