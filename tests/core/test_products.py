"""Matrix products do not depend on the number of threads."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from mergeit_ops.core.merging.pairing import find_groups
from mergeit_ops.core.products import inner_products
from mergeit_ops.core.selection.facility_location import select
from mergeit_ops.core.selection.k_center import k_center


def unit_vectors(rows: int) -> np.ndarray:
    vectors = np.random.default_rng(rows).normal(size=(rows, 384)).astype(np.float32)
    # Neighbours that are nearly alike, so that a last digit decides.
    vectors = vectors[: -(-rows // 3)].repeat(3, axis=0)[:rows] + np.float32(1e-6) * vectors
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


RESULTS = {
    "product": lambda vectors: inner_products(vectors, vectors),
    "facility location": lambda vectors: select(vectors, max(1, len(vectors) // 5)).indices,
    "facility location of many": lambda vectors: select(vectors, max(1, len(vectors) // 5), dense_rows=100).indices,
    "k-center": lambda vectors: k_center(vectors, max(1, len(vectors) // 5), np.zeros(1, np.int64)).indices,
    "best pairs": lambda vectors: [group.members for group in find_groups(vectors, 0.55, "best_first")],
    "first pairs": lambda vectors: [group.members for group in find_groups(vectors, 0.55, "first_come")],
}


@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("rows", [1, 5, 120, 1_300])
def test_the_number_of_threads_changes_nothing(result, rows):
    found = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads):
            found.append(RESULTS[result](unit_vectors(rows)))
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0), (1, 1), (600, 7), (1_100, 1_025)])
def test_it_is_the_product(n, m):
    a, b = unit_vectors(n + 3)[:n], unit_vectors(m + 3)[:m]
    np.testing.assert_allclose(inner_products(a, b), a.astype(np.float64) @ b.T.astype(np.float64), atol=1e-6)
