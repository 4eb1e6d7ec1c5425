"""Asking any scorer for scores: each row once, and only finite numbers count."""

from __future__ import annotations

import math

import pytest

from mergeit_ops.core.gate.comparison import Bounds, RowComparison
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.errors import DatasetError, ScorerError
from mergeit_ops.scorers.scoring import (
    compared_scores,
    identity_digest,
    measured_scores,
    measures_of,
    row_scores,
    view_of,
)
from tests.user_scorers import ByLength, Constant, WithReverseIfd

A, B = Sample("a", "", "1"), Sample("b", "", "22!")
NO_BOUNDS = Bounds(None, None)


class Gives:
    """Returns, or raises, what it is made with."""

    def __init__(self, given):
        self.given = given
        self.asked = []

    def score(self, samples):
        self.asked.append(list(samples))
        if isinstance(self.given, Exception):
            raise self.given
        return self.given


def test_each_distinct_row_is_asked_about_once():
    scorer = Gives([Score(1), Score(2.5)])
    found = measured_scores(scorer, [A, B, A, A], NO_BOUNDS)
    assert scorer.asked == [[A, B]]
    assert [row[0].value for row in found] == [1.0, 2.5, 1.0, 1.0]
    assert isinstance(found[0][0].value, float)


def test_without_rows_nobody_is_asked():
    scorer = Gives(ValueError("asked"))
    assert row_scores(scorer, []) == {}
    assert measured_scores(scorer, [], NO_BOUNDS) == []
    assert measured_scores(WithReverseIfd(), [], NO_BOUNDS) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_no_score(value):
    found = row_scores(Gives([Score(value)]), [A])
    assert (found[A].value, found[A].status) == (None, "not_finite")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (ValueError("boom"), r"the scorer Gives failed \(ValueError: boom\)"),
        ("text", "must return a list of Score, one per row, got str"),
        ({A: Score(1)}, "got dict"),
        (None, "got NoneType"),
        (7, "got int"),
        ([1.0, 2.0], "got float 1.0 in it: return Score"),
        ([None, Score(1)], "got NoneType None in it"),
        ([Score(1)], "gave 1 score for 2 rows"),
        ([Score(1)] * 3, "gave 3 scores for 2 rows"),
        ([Score("high"), Score(1)], "the scorer Gives failed"),
        ([Score(10**400), Score(1)], "the scorer Gives failed"),
    ],
)
def test_a_scorer_that_breaks_its_contract_is_named(given, words):
    with pytest.raises(ScorerError, match=words):
        row_scores(Gives(given), [A, B])


def test_our_own_errors_pass_as_they_are():
    with pytest.raises(DatasetError, match=r"^as it is$"):
        row_scores(Gives(DatasetError("as it is")), [A])


def test_measures_are_named_by_the_scorer_or_after_its_class():
    assert measures_of(ByLength()) == {"by_length": "by_length_score"}
    assert measures_of(WithReverseIfd()) == WithReverseIfd.measures


def test_every_measure_of_a_scorer_is_checked():
    found = measured_scores(WithReverseIfd(), [A, B], NO_BOUNDS)
    assert [[score.value for score in row] for row in found] == [[1.0, 0.5], [2.0, 1.5]]


def test_comparisons_are_answered_in_the_order_of_their_samples():
    comparisons = [RowComparison(one, NO_BOUNDS) for one in (B, A, B)]
    assert [[score.value for score in found] for found in compared_scores(ByLength(), comparisons)] == [[3], [1], [3]]
    assert compared_scores(ByLength(), []) == []


def test_what_changes_scores_changes_the_digest_and_nothing_else_does():
    first = identity_digest(Constant(), "constant", {"value": 1.0}, NO_BOUNDS)
    assert first == identity_digest(Constant(), "constant", {"value": 1.0}, Bounds(0.5, None))
    assert first != identity_digest(Constant(), "constant", {"value": 2.0}, NO_BOUNDS)
    assert first != identity_digest(Constant(), "other", {"value": 1.0}, NO_BOUNDS)
    named = identity_digest(WithReverseIfd(), "x", {"spelling": 1}, NO_BOUNDS)
    assert named == identity_digest(WithReverseIfd(), "x", {"spelling": 2}, NO_BOUNDS)
    assert identity_digest(Constant(), "c", {"half": "\ud800", "object": object}, NO_BOUNDS)


class OfParts(Constant):
    reads = "parts"


class OfNothing(Constant):
    reads = "everything"


def test_what_a_scorer_reads_counts_unless_it_leaves_that_to_nobody():
    answer, response = (identity_digest(Constant(), "c", {}, NO_BOUNDS, read) for read in ("answer", "response"))
    assert answer == identity_digest(Constant(), "c", {}, NO_BOUNDS) != response
    assert identity_digest(OfParts(), "c", {}, NO_BOUNDS) == identity_digest(OfParts(), "c", {}, NO_BOUNDS, "response")


def test_a_scorer_names_a_view_that_there_is():
    assert [view_of(Constant(), "response"), view_of(OfParts(), "response")] == ["response", "parts"]
    with pytest.raises(ScorerError, match="the scorer OfNothing has the attribute reads = 'everything'"):
        view_of(OfNothing(), "answer")
