"""The gate's decision against hand-computed cases."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.gate.rule import Candidate, GateRule, decide


@pytest.mark.parametrize(
    ("parents", "merged", "rule", "rejected"),
    [
        ([1.88, 1.93], 2.57, GateRule(0.75), None),
        ([1.88, 1.93], 2.57, GateRule(1.0), None),
        ([2, 4], 2.5, GateRule(0.75), None),
        ([2, 4], 2.5, GateRule(1.0), "score"),
        ([2, 4], 3.0, GateRule(1.0, strict=False), None),
        ([2, 4], 3.0, GateRule(1.0, strict=True), "score"),
        ([2, 4], 3.5, GateRule(1.0, reference="max"), "score"),
        ([2, 4], 2.5, GateRule(1.0, reference="min"), None),
        ([2, None], 6.0, GateRule(0.75), "no_score"),
        ([2, 4], None, GateRule(0.75), "no_score"),
    ],
)
def test_a_merge_passes_when_it_exceeds_gamma_times_the_reference(parents, merged, rule, rejected):
    assert decide(rule, parents, [Candidate(merged)]).rejected == rejected


def test_figures_of_the_decision():
    decision = decide(GateRule(0.75), [1.88, 1.93], [Candidate(2.57, 0.9)])
    assert decision.before == pytest.approx(1.905)
    assert (decision.after, decision.coverage, decision.chosen) == (2.57, 0.9, 0)
    assert decision.ratio == pytest.approx(2.57 / 1.905)


def test_the_best_candidate_that_passes_wins_and_one_without_a_score_never_does():
    candidates = [Candidate(2.0), Candidate(None), Candidate(4.0), Candidate(4.0)]
    assert decide(GateRule(0.75), [3, 3], candidates).chosen == 2


def test_a_lower_score_that_passes_beats_a_higher_one_that_fails_on_coverage():
    rule = GateRule(0.75, min_parent_coverage=0.8)
    decision = decide(rule, [3, 3], [Candidate(5.0, 0.5), Candidate(4.0, 0.9)])
    assert (decision.chosen, decision.rejected) == (1, None)
    assert decide(rule, [3, 3], [Candidate(5.0, 0.5)]).rejected == "coverage"
    assert decide(rule, [3, 3], [Candidate(5.0, None)]).rejected == "coverage"


def test_when_all_fail_the_figures_are_those_of_the_best_score():
    decision = decide(GateRule(1.0), [3, 3], [Candidate(1.0), Candidate(2.0), Candidate(None)])
    assert (decision.chosen, decision.rejected, decision.after) == (1, "score", 2.0)


SCORE = st.one_of(st.none(), st.floats(1, 6))


@given(
    parents=st.lists(SCORE, min_size=2, max_size=3),
    candidates=st.lists(st.builds(Candidate, SCORE, st.one_of(st.none(), st.floats(0, 1))), min_size=1, max_size=5),
    rule=st.builds(
        GateRule,
        gamma=st.floats(0.5, 1.5),
        strict=st.booleans(),
        reference=st.sampled_from(["mean", "max", "min"]),
        min_parent_coverage=st.one_of(st.none(), st.floats(0, 1)),
    ),
)
def test_what_is_chosen_has_the_best_score_of_those_that_pass_or_of_all_where_none_does(parents, candidates, rule):
    decision = decide(rule, parents, candidates)
    before = rule.reference_score(parents)
    passing = [candidate for candidate in candidates if rule.rejection(candidate, before) is None]
    assert (decision.rejected is None) == bool(passing)
    scores = [candidate.score for candidate in passing or candidates if candidate.score is not None]
    assert decision.after == (max(scores) if scores else None)
    if decision.rejected is None:
        assert decision.after is not None
        assert None not in parents
