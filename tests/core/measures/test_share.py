"""How sure a share is."""

import pytest

from mergeit_ops.core.measures.share import share_interval


@pytest.mark.parametrize(
    ("found", "cases", "low", "high"),
    # By hand from Wilson's formula with z = 1.96.
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (1, 1, 0.2065, 1.0)],
)
def test_intervals_are_those_of_wilson(found, cases, low, high):
    assert share_interval(found, cases) == pytest.approx((low, high), abs=1e-4)


def test_more_cases_narrow_the_interval_and_the_share_always_lies_in_it():
    for found, cases in [(0, 7), (3, 7), (7, 7), (90, 100)]:
        low, high = share_interval(found, cases)
        lower, higher = share_interval(10 * found, 10 * cases)
        assert 0 <= low <= lower <= found / cases <= higher <= high <= 1
