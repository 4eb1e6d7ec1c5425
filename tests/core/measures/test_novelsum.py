"""NovelSum: golden values, and what it must not depend on."""

import numpy as np
import pytest

from mergeit_ops.core.measures.novelsum import density_weights, novelsum
from tests.core.selection.test_facility_location import X6, unit_vectors


def test_golden_values_of_six_rows():
    assert novelsum(X6) == pytest.approx(0.510204, abs=1e-6)
    weights = density_weights(X6, X6, neighbours=2)
    expected = [1.290994, 2.041241, 1.290994, 0.707107, 0.707107, 2.041241]
    np.testing.assert_allclose(weights, expected, atol=1e-5)
    assert novelsum(X6, weights) == pytest.approx(0.587955, abs=1e-5)


def test_copies_lower_it_and_the_order_of_rows_does_not_matter():
    vectors = unit_vectors(60)
    assert novelsum(np.concatenate([vectors, vectors])) < novelsum(vectors)
    assert novelsum(vectors[::-1].copy()) == pytest.approx(novelsum(vectors), rel=1e-5)


def test_a_single_row_has_none_and_no_row_is_an_error():
    assert novelsum(X6[:1]) == 0
    np.testing.assert_array_equal(density_weights(X6[:1], X6[:1]), [1])
    with pytest.raises(ValueError, match="at least one row"):
        novelsum(X6[:0])


def test_a_sample_of_rows_is_close_to_all_of_them():
    vectors = unit_vectors(2_400, seed=3)
    halves = [novelsum(vectors, seed=seed) for seed in range(3)]
    assert np.std(halves) < 0.01 * np.mean(halves)
