"""Means of held-out losses per token and per row, and the differences that they are made of."""

from __future__ import annotations

import numpy as np
import pytest

from mergeit_ops.core.training_effect.held_out_losses import MEANS, HeldOutLosses

TOKENS = np.array([1.0, 3.0])


def test_by_hand():
    """Losses of 2 on one token and 1 on each of three: 5/4 per token, 3/2 per row."""
    losses = HeldOutLosses(np.array([[2.0, 3.0]]), TOKENS)
    assert losses.mean("token") == 1.25
    assert losses.mean("row") == 1.5


@pytest.mark.parametrize("of", MEANS)
def test_differences_have_the_difference_of_the_means(of):
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 200, 30).astype(float)
    one, other = (HeldOutLosses(rng.random((4, 30)) * tokens, tokens) for _ in range(2))
    found = one.less(other, of)
    assert found.shape == (4, 30)
    assert found.mean() == pytest.approx(one.mean(of) - other.mean(of))


def test_the_spread_per_token_is_that_of_a_ratio():
    """A difference that is the same for every token is certain, however long the rows are."""
    tokens = np.array([1.0, 10.0, 100.0])
    one, other = HeldOutLosses(np.array([2 * tokens]), tokens), HeldOutLosses(np.array([tokens]), tokens)
    assert one.less(other, "token") == pytest.approx(np.ones((1, 3)))
