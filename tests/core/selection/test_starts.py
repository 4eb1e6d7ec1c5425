"""The rows that a method begins with."""

from dataclasses import dataclass

import numpy as np
import pytest

from mergeit_ops.core.selection.method import Pool
from mergeit_ops.core.selection.starts import STARTS, StartedMethod
from tests.core.selection.toys import X6, directions


@dataclass(frozen=True)
class Method(StartedMethod):
    """One that only starts."""


def first(start, pool, **more):
    return Method(start, **more).first_rows(pool).tolist()


def test_the_centroid_is_the_row_nearest_to_the_mean():
    # The mean of the six is (0.233, 0.233); rows 1 and 5 are as near, and the first of them is taken.
    assert first("centroid", Pool(X6)) == [1]
    vectors = directions(40)
    mean = vectors.astype(np.float64).mean(axis=0)
    assert first("centroid", Pool(vectors)) == [int(((vectors - mean) ** 2).sum(axis=1).argmin())]


def test_a_random_start_depends_on_the_seed_alone():
    found = {seed: first("random", Pool(directions(50)), seed=seed) for seed in range(20)}
    assert found == {seed: first("random", Pool(directions(50, seed=9)), seed=seed) for seed in range(20)}
    assert len({rows[0] for rows in found.values()}) > 5


def test_rows_that_are_chosen_already_are_the_beginning():
    chosen = np.array([False, True, False, True, False, False])
    assert first("column", Pool(X6, chosen=chosen)) == [1, 3]
    assert first("column", Pool(X6, chosen=np.zeros(6, bool))) == first("centroid", Pool(X6))
    assert Method("column").needs == {"vectors", "chosen"}
    assert Method("random").needs == {"vectors"}


@pytest.mark.parametrize("start", STARTS)
def test_no_rows_and_one_row(start):
    assert first(start, Pool(X6[:0], chosen=np.zeros(0, bool))) == []
    assert first(start, Pool(X6[:1], chosen=np.zeros(1, bool))) == [0]
