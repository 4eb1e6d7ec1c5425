"""Equally strict cosines: the same share of the pairs of a sample lies above."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mergeit_ops.core.merging.equal_strictness import LEAST_AGREEMENT, LEAST_PAIRS, EqualStrictness


def unit_vectors(n: int, width: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def lifted(vectors: np.ndarray, by: float) -> np.ndarray:
    """Return unit vectors whose cosines are by + (1 - by) times the old ones, as of a model with a narrow cone."""
    constant = np.full((len(vectors), 1), np.sqrt(by), dtype=np.float32)
    return np.hstack([constant, np.sqrt(1 - by) * vectors]).astype(np.float32)


SAMPLE = unit_vectors(400, 8, 0)


@pytest.mark.parametrize("cosine", [-0.2, 0.0, 0.3, 0.55, 0.8])
@pytest.mark.parametrize("by", [0.0, 0.5, 0.7])
def test_a_model_that_orders_pairs_alike_gets_the_threshold_that_finds_the_same_pairs(by, cosine):
    other, share, agreement = EqualStrictness.of(SAMPLE, lifted(SAMPLE, by)).at(cosine)
    assert other == pytest.approx(by + (1 - by) * cosine, abs=0.01)
    pairs = (SAMPLE @ SAMPLE.T)[np.triu_indices(len(SAMPLE), 1)]
    assert share == pytest.approx((pairs > cosine).mean(), rel=0.1)
    assert agreement > 0.99


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1_000), cosine=st.floats(-0.5, 0.7))
def test_the_same_share_of_pairs_lies_above_for_any_two_models(seed, cosine):
    known, other = unit_vectors(200, 6, seed), unit_vectors(200, 6, seed + 1)
    found, share, agreement = EqualStrictness.of(known, other).at(cosine)
    above = [(vectors @ vectors.T)[np.triu_indices(200, 1)] for vectors in (known, other)]
    assert (above[0] > cosine).mean() == pytest.approx((above[1] > found).mean(), rel=0.1, abs=0.002)
    assert share == pytest.approx((above[0] > cosine).mean(), rel=0.1, abs=0.002)
    # Two models that have nothing to do with each other agree by chance.
    assert agreement < LEAST_AGREEMENT


def test_a_stricter_cosine_stays_stricter():
    scale = EqualStrictness.of(SAMPLE, unit_vectors(400, 8, 1))
    cosines = np.linspace(-1, scale.known[0], 50)
    found = [scale.at(cosine)[0] for cosine in cosines]
    assert found == sorted(found)
    assert [scale.at(cosine)[1] for cosine in cosines] == sorted((scale.at(c)[1] for c in cosines), reverse=True)


def test_a_cosine_that_few_pairs_exceed_cannot_be_translated():
    scale = EqualStrictness.of(SAMPLE, SAMPLE)
    pairs = np.sort((SAMPLE @ SAMPLE.T)[np.triu_indices(len(SAMPLE), 1)])
    scale.at(float(pairs[-LEAST_PAIRS - 1]))
    with pytest.raises(ValueError, match=r"fewer than 30 pairs lie above 0\.99"):
        scale.at(0.99)
    with pytest.raises(ValueError, match="8 texts make 28 pairs"):
        EqualStrictness.of(SAMPLE[:8], SAMPLE[:8])


def test_a_model_for_which_all_texts_are_the_same_agrees_with_none():
    same = np.ones((400, 1), dtype=np.float32)
    assert EqualStrictness.of(SAMPLE, same).at(0.5)[2] <= 0
