"""The distance to the k-th nearest row as a scorer."""

import numpy as np
import pytest

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.selection.method import Pool
from mergeit_ops.errors import RecipeError
from mergeit_ops.scorers.knn_distance import KnnDistance
from tests.core.selection.toys import X6, directions


def scores(vectors, **parameters):
    scorer = KnnDistance(**parameters)
    known = scorer.prepare(Pool(vectors))
    found = scorer.score([Sample("a", "", "b")] * len(vectors), known)
    return [(score.value, score.status) for (score,) in found]


def test_golden_distances_of_six_directions():
    # Of row 0 the others are at cosines 0.8, 0.6, 0, 0 and -1: the second nearest is at sqrt(2 - 1.2).
    found = scores(X6, k=2)
    assert found[0][0] == pytest.approx(np.sqrt(0.8), abs=1e-4)
    assert all(status == "ok" for _, status in found)


@pytest.mark.parametrize("k", [1, 3])
def test_distances_are_those_of_all_pairs(k):
    vectors = directions(30)
    exact = np.linalg.norm(vectors[:, None].astype(float) - vectors[None], axis=2)
    expected = np.sort(exact, axis=1)[:, k]
    assert [value for value, _ in scores(vectors, k=k)] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("rows", [0, 1, 6])
def test_with_too_few_other_rows_there_is_no_score(rows):
    assert scores(directions(10)[:rows]) == [(None, "no_neighbour")] * rows


@pytest.mark.parametrize("k", [0, -1, 1.5, "6", None, True])
def test_k_is_a_whole_number_of_at_least_1(k):
    with pytest.raises(RecipeError, match="knn_distance"):
        KnnDistance(k=k)


def test_another_k_makes_other_scores():
    assert KnnDistance(k=2).identity() != KnnDistance().identity()
