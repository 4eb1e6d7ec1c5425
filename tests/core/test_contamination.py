"""What counts as an overlap with a benchmark, and which question is nearest."""

import numpy as np
import pytest

from mergeit_ops.core import contamination
from mergeit_ops.core.contamination import ContaminationBounds, nearest


@pytest.mark.parametrize(
    ("share", "cosine", "status"),
    [(0.0, 0.85, "clean"), (0.01, None, "ngram"), (0.0, 0.86, "similarity"), (1.0, 1.0, "both"), (None, None, "clean")],
)
def test_bounds_are_exclusive(share, cosine, status):
    assert ContaminationBounds(0.0, 0.85).status(share, cosine) == status
    assert ContaminationBounds(None, None).status(share, cosine) == "clean"


def test_of_equal_questions_the_first_is_nearest_in_blocks_of_any_size(monkeypatch):
    random = np.random.default_rng(0)
    others = random.normal(size=(40, 16)).astype(np.float32)
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    others[30] = others[7]
    vectors = np.concatenate([others[[30, 3]], -others[:9]])
    positions, cosines = nearest(vectors, others)
    assert positions[:2].tolist() == [7, 3]
    assert cosines[:2].tolist() == [1.0, 1.0]
    assert positions.tolist() == np.argmax(np.round(vectors @ others.T, 5), axis=1).tolist()
    monkeypatch.setattr(contamination, "_BLOCK_ENTRIES", 40)
    again = nearest(vectors, others)
    assert [part.tolist() for part in again] == [positions.tolist(), cosines.tolist()]
