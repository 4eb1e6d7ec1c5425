"""How narrowly scores decide: hand-computed distances, and that a smaller change never decides otherwise."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.gate.comparison import Bounds, MergeComparison, RowComparison
from mergeit_ops.core.gate.rule import GateRule
from mergeit_ops.core.sample import Sample


def rows(count: int, name: str) -> tuple[Sample, ...]:
    return tuple(Sample(f"{name} {number}", "", "x") for number in range(count))


def merge(candidates: int = 1, parents: int = 2, coverages=None, bounds=Bounds(), **rule) -> MergeComparison:  # noqa: B008
    coverages = coverages or (None,) * candidates
    return MergeComparison(rows(candidates, "c"), rows(parents, "p"), coverages, GateRule(**rule), bounds)


@pytest.mark.parametrize(
    ("comparison", "scores", "distance"),
    [
        # gamma 0.75, mean of 2 and 4: the bar is 2.25.
        (merge(), [2.5, 2, 4], 0.25),
        (merge(), [2.0, 2, 4], 0.25),
        (merge(gamma=1.0, reference="max"), [3.5, 2, 4], 0.5),
        (merge(candidates=3), [1.0, 3.25, 2.25, 2, 4], 1.0),
        (merge(candidates=2, coverages=(0.9, 0.1), min_parent_coverage=0.5), [2.0, 5.0, 2, 4], 0.25),
        (merge(coverages=(0.1,), min_parent_coverage=0.5), [2.25, 2, 4], math.inf),
        (merge(), [None, 2, 4], None),
        (merge(), [2.5, None, 4], None),
        (merge(candidates=2), [2.5, None, 2, 4], None),
        # Accepted, the merge itself meets min_score; rejected, its parents do.
        (merge(bounds=Bounds(low=4.9)), [5.0, 2, 4], 0.1),
        (merge(bounds=Bounds(high=3.8)), [1.0, 2, 4], 0.2),
        (RowComparison(Sample("a", "", "b"), Bounds(2, 5)), [2.25], 0.25),
        (RowComparison(Sample("a", "", "b"), Bounds(2, 5)), [4.5], 0.5),
        (RowComparison(Sample("a", "", "b")), [4.5], math.inf),
        (RowComparison(Sample("a", "", "b"), Bounds(2, 5)), [None], None),
    ],
)
def test_the_distance_is_that_to_the_nearest_threshold(comparison, scores, distance):
    assert comparison.distance(scores) == (distance if distance is None else pytest.approx(distance))


@pytest.mark.parametrize(
    ("scores", "outcome"),
    [([3.0, 2, 4], (True, True)), ([1.0, 2, 4], (False, False, True)), ([None, 2, 4], (False, False, True))],
)
def test_the_outcome_is_the_decision_and_what_the_filter_keeps(scores, outcome):
    assert merge(bounds=Bounds(low=3)).outcome(scores) == outcome


score = st.floats(1, 6).map(lambda value: round(value, 3))


@given(score, score, score, st.sampled_from(["mean", "max", "min"]), st.floats(-0.99, 0.99))
def test_a_merge_that_moves_by_less_than_the_distance_is_decided_alike(merged, first, second, reference, share):
    comparison = merge(reference=reference, bounds=Bounds(2.0, 5.0))
    distance = comparison.distance([merged, first, second])
    moved = merged + share * distance
    before, after = comparison.outcome([merged, first, second]), comparison.outcome([moved, first, second])
    assert distance < 1e-9 or before == after
