"""The answers of a selection method that has nothing to say."""

import pickle
from dataclasses import dataclass

import numpy as np

from mergeit_ops.core.selection.method import Pool, Selection, SelectionMethod


@dataclass(frozen=True)
class InOrder(SelectionMethod):
    """Takes the first rows."""

    def select(self, pool, budget):
        return Selection(np.arange(budget), -np.arange(budget, dtype=np.float64))


def test_a_method_that_says_nothing_needs_vectors_and_refuses_nothing():
    method = InOrder()
    assert method.needs == {"vectors"}
    assert method.edge_similarity is None
    assert (method.refusal(10**9, 1), method.note(1, 1)) == ("", "")
    assert (method.nested, method.has_bound, method.whole_only, dict(method.stats)) == (True, False, False, {})
    assert pickle.loads(pickle.dumps(method)) == method


def test_within_tokens_rows_that_no_longer_fit_are_left_out():
    costs = np.array([5, 4, 9, 1, 1])
    pool = Pool(np.zeros((5, 2), np.float32))
    assert InOrder().select_within(pool, costs, 11).indices.tolist() == [0, 1, 3]
    assert InOrder().select_within(pool, costs, 20).indices.tolist() == [0, 1, 2, 3, 4]


def test_an_empty_pool_shares_its_arrays_with_no_other():
    assert Pool().vectors is not Pool().vectors
    assert Pool().vectors.shape == (0, 0)
