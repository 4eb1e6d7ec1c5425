"""Means over draws and held-out rows: intervals that hold for both, and how many of each tell a difference."""

from __future__ import annotations

import numpy as np
import pytest

from mergeit_ops.core.training_effect.crossed_mean import crossed_mean, draws_needed, rows_needed, smallest_told


def table(rng, draws, rows, *, of_draws, of_rows, of_cells, mean=0.0):
    return (
        mean
        + rng.normal(0, of_draws, (draws, 1))
        + rng.normal(0, of_rows, (1, rows))
        + rng.normal(0, of_cells, (draws, rows))
    )


def test_by_hand():
    """Row means 2 and 4, draw means 2 and 4, cells exactly their sum: variances 1, 1 and 0, so the error is sqrt(2)."""
    found = crossed_mean(np.array([[1.0, 3.0], [3.0, 5.0]]))
    assert found.estimate == 3.0
    # Two degrees of freedom: t is 4.3027.
    assert found.high - found.estimate == pytest.approx(4.302653 * 2**0.5, rel=1e-6)
    assert found.estimate - found.low == pytest.approx(4.302653 * 2**0.5, rel=1e-6)
    assert (found.of_rows, found.of_draw) == (pytest.approx(1.0), pytest.approx(2.0))


@pytest.mark.parametrize(
    ("draws", "spread"),
    [
        (3, {"of_draws": 0.005, "of_rows": 0.02, "of_cells": 0.02}),
        (4, {"of_draws": 0.0, "of_rows": 0.03, "of_cells": 0.03}),
        (6, {"of_draws": 0.002, "of_rows": 0.03, "of_cells": 0.03}),
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_say(draws, spread):
    rng = np.random.default_rng(5)
    inside = [not crossed_mean(table(rng, draws, 100, **spread)).excludes_zero for _ in range(600)]
    # 600 draws of 0.95 have a standard deviation of 0.009.
    assert 0.92 <= np.mean(inside) <= 0.985


def test_rows_alone_would_say_too_much():
    """Draws that differ make all rows differ together: an interval over rows of their means would miss that."""
    rng = np.random.default_rng(0)
    spread = {"of_draws": 0.05, "of_rows": 0.01, "of_cells": 0.01}
    missed = 0
    for _ in range(200):
        values = table(rng, 4, 100, **spread)
        means = values.mean(axis=0)
        missed += abs(means.mean()) > 1.96 * means.std(ddof=1) / 10
    assert missed > 150


def test_one_draw_or_one_row_has_no_interval():
    for values in (np.ones((1, 5)), np.ones((5, 1))):
        found = crossed_mean(values)
        assert (found.estimate, found.low, found.high) == (1.0, None, None)
        assert not found.excludes_zero


def test_the_same_value_everywhere_is_certain():
    found = crossed_mean(np.full((3, 10), 0.25))
    assert (found.low, found.high) == (0.25, 0.25)
    assert crossed_mean(np.zeros((3, 10))).excludes_zero is False


def test_the_power_that_is_said_is_had():
    """Experiments of as many draws as are said to be needed tell the difference four times of five."""
    rng = np.random.default_rng(3)
    spread = {"of_draws": 0.006, "of_rows": 0.01, "of_cells": 0.01}
    pilot = crossed_mean(table(rng, 400, 200, **spread))
    needed = draws_needed(pilot, 0.005)
    told = [crossed_mean(table(rng, needed, 200, mean=0.005, **spread)).excludes_zero for _ in range(400)]
    assert 0.7 <= np.mean(told) <= 0.9
    assert smallest_told(pilot, needed) <= 0.005 < smallest_told(pilot, needed - 1)


def test_where_rows_are_too_few_no_number_of_draws_does():
    rng = np.random.default_rng(3)
    pilot = crossed_mean(table(rng, 50, 40, of_draws=0.0, of_rows=0.05, of_cells=0.01))
    assert draws_needed(pilot, 0.005) is None
    needed = rows_needed(pilot, 0.005)
    # (1.96 + 0.84)^2 * 0.05^2 / 0.005^2 is 785; the spread of 40 rows is known to a fifth or so.
    assert 400 < needed < 1300
