"""The agreement with the judge, in words, and when it is too low."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mergeit_ops.core.measures.bootstrap import Interval
from mergeit_ops.scorers.agreement import LEAST_FOR_A_GATE, Agreement, agreement_of


@pytest.mark.parametrize(
    ("estimate", "low", "warning"),
    [
        (0.79, 0.75, ""),
        (0.65, 0.55, "may be too low for a gate: the interval reaches below 0.6"),
        (0.59, 0.5, "is too low for a gate, which needs 0.6"),
        (0.0, None, "is too low for a gate"),
    ],
)
def test_what_is_said_of_an_agreement(estimate, low, warning):
    found = Agreement(400, Interval(estimate, low, None if low is None else estimate + 0.05), 0.4)
    assert (
        f"On 400 rows that it has not seen, the scorer agrees with the judge at a rank correlation of {estimate:.2f}"
        in (found.sentence())
    )
    assert ("interval" in found.sentence()) == (low is not None)
    assert "the length of the response alone has 0.40." in found.sentence()
    assert warning in found.warning()
    assert bool(warning) == bool(found.warning())


def test_the_least_agreement_means_seven_of_ten_decisions():
    """Of merge and two parents whose scores are jointly normal, as the reason for the bound says."""
    rng = np.random.default_rng(0)
    real = rng.normal(size=(200_000, 3))
    # A rank correlation of r is a correlation of 2 sin(pi r / 6), which is nearly r.
    linear = 2 * math.sin(math.pi * LEAST_FOR_A_GATE / 6)
    other = linear * real + math.sqrt(1 - linear**2) * rng.normal(size=real.shape)
    alike = [(scores[:, 0] > scores[:, 1:].mean(axis=1)) for scores in (real, other)]
    assert (alike[0] == alike[1]).mean() == pytest.approx(0.5 + math.asin(linear) / math.pi, abs=0.005)
    assert 0.70 < (alike[0] == alike[1]).mean() < 0.72


def test_scores_are_compared_row_by_row():
    found = agreement_of([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [9, 8, 7, 6])
    assert found.figures() == {
        "rows": 4,
        "spearman": 1.0,
        "spearman_low": found.figures()["spearman_low"],
        "spearman_high": 1.0,
        "by_length": -1.0,
    }
