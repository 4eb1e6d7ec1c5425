"""The map: groups stay together, odd sets do not break it."""

import numpy as np
import pytest

from mergeit_ops.core.measures.projection import project_2d


def groups(n: int, d: int = 32) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 3
    vectors = np.eye(d)[labels] + rng.normal(scale=0.05, size=(n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), labels


def test_rows_lie_among_their_like():
    vectors, labels = groups(90)
    places = project_2d(vectors)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (labels[distances.argmin(axis=1)] == labels).all()
    assert np.abs(places).max() == pytest.approx(1)


def test_the_same_rows_lie_at_the_same_places():
    vectors, _ = groups(40)
    np.testing.assert_array_equal(project_2d(vectors), project_2d(vectors))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 12])
@pytest.mark.parametrize("d", [1, 2, 32])
@pytest.mark.parametrize("alike", [True, False])
def test_few_rows_and_rows_that_are_alike_have_places(n, d, alike):
    vectors = np.ones((n, d), np.float32) / np.sqrt(d) if alike else groups(n, 32)[0][:, :d]
    places = project_2d(np.ascontiguousarray(vectors, dtype=np.float32))
    assert places.shape == (n, 2)
    assert np.isfinite(places).all()
